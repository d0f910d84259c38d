// Vectorisable functions for the kernels' inner loops.
#ifndef CIRKD_NATIVE_VECTOR_MATH_H_
#define CIRKD_NATIVE_VECTOR_MATH_H_

#include <cstdint>
#include <cstring>

#include "level.h"

namespace cirkd {

// exp(x) to about 1e-7 of itself: 2^n * e^r with |r| <= ln 2 / 2, e^r by its Taylor polynomial, in a
// form that the compiler vectorises. 0 below float32's normal numbers, infinity above; NaN stays NaN.
CIRKD_INLINE float Exp(float x) {
  const float clamped = x > 89.0f ? 89.0f : (x < -87.0f ? -87.0f : x);
  // 1.5 * 2^23: a number added to it is rounded to an integer, which is in the last bits of the sum.
  const float shifted = clamped * 1.44269504088896341f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  // ln 2 in two parts: the first has so few bits that its product with n is exact.
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440054690583e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // n = 128 gives the exponent bits of infinity.
  const int32_t scale_bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &scale_bits, sizeof(scale));
  const float y = x < -87.0f ? 0.0f : p * scale;
  return x != x ? x : y;
}

// The normal distribution function at x, to about 5e-7 of itself, below 0 too, and exp(-x^2 / 2). For z = |x| / sqrt 2
// the smaller tail is exp(-z^2) / 2 times a polynomial in 1 / (1 + 0.325 z), fitted to exp(z^2) erfc(z).
CIRKD_INLINE float NormalDistribution(float x, float* bell) {
  const float size = x < 0.0f ? -x : x;
  const float e = Exp(-0.5f * size * size);
  const float t = 1.0f / (1.0f + 0.229809705f * size);
  float p = -0.15455450117588043f;
  p = p * t + 0.569253146648407f;
  p = p * t - 0.5271768569946289f;
  p = p * t + 0.5634389519691467f;
  p = p * t - 0.033873748034238815f;
  p = p * t + 0.22294117510318756f;
  p = p * t + 0.17615869641304016f;
  p = p * t + 0.18381310999393463f;
  const float tail = 0.5f * p * t * e;
  *bell = e;
  const float y = x < 0.0f ? tail : 1.0f - tail;
  return x != x ? x : y;
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_VECTOR_MATH_H_
