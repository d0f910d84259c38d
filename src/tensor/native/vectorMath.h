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

}  // namespace cirkd

#endif  // CIRKD_NATIVE_VECTOR_MATH_H_
