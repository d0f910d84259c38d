// The loops of a batch norm's backward pass.
#ifndef CIRKD_NATIVE_BATCH_NORM_GRADIENT_H_
#define CIRKD_NATIVE_BATCH_NORM_GRADIENT_H_

#include <cstdint>

#include "activation.h"
#include "level.h"

namespace cirkd {
namespace {

// Where a gradient passes the activation: where y, the activation's output, is inside its range. y null: where the
// activation's input x * factor + offset is, as the forward pass computes it (FinishRow). Then y need not be read.
struct Passing {
  const float* y;
  const float *factor, *offset;
  ActivationRange range;

  Passing From(int64_t first) const { return {y == nullptr ? nullptr : y + first, factor, offset, range}; }
};

// Row p of dz.
template <bool kByX>
CIRKD_INLINE float Passed(float dy, float x, const Passing& by, int64_t p, int64_t channels, int64_t c) {
  return Gate(dy, kByX ? x * by.factor[c] + by.offset[c] : by.y[p * channels + c], by.range);
}

template <bool kByX>
CIRKD_INLINE void AddGradientRows(const float* dy, const float* x, const Passing& by, const float* mean,
                                  int64_t positions, int64_t channels, float* dz, float* first, float* second) {
  for (int64_t p = 0; p < positions; ++p, dy += channels, x += channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float g = Passed<kByX>(dy[c], x[c], by, p, channels, c);
      first[c] += g;
      second[c] += g * (x[c] - mean[c]);
    }
    if (dz == nullptr) continue;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) dz[c] = Passed<kByX>(dy[c], x[c], by, p, channels, c);
    dz += channels;
  }
}

template <bool kByX>
CIRKD_INLINE void InputGradientRows(const float* dy, const float* x, const Passing& by, const float* a, const float* b,
                                    const float* d, int64_t positions, int64_t channels, float* dx) {
  for (int64_t p = 0; p < positions; ++p) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float g = Passed<kByX>(dy[c], x[c], by, p, channels, c);
      dx[c] = a[c] * g + (b[c] * x[c] + d[c]);
    }
    dy += channels, x += channels, dx += channels;
  }
}

// Sums of dz, which is dy where it passes the activation, and of dz * (x - mean). dz may be null.
CIRKD_VECTORISED void AddGradients(const float* dy, const float* x, const Passing& by, const float* mean,
                                   int64_t positions, int64_t channels, float* dz, float* first, float* second) {
  if (by.y == nullptr) {
    AddGradientRows<true>(dy, x, by, mean, positions, channels, dz, first, second);
  } else {
    AddGradientRows<false>(dy, x, by, mean, positions, channels, dz, first, second);
  }
}

// dx = a * dz + b * x + d.
CIRKD_VECTORISED void InputGradient(const float* dy, const float* x, const Passing& by, const float* a, const float* b,
                                    const float* d, int64_t positions, int64_t channels, float* dx) {
  if (by.y == nullptr) {
    InputGradientRows<true>(dy, x, by, a, b, d, positions, channels, dx);
  } else {
    InputGradientRows<false>(dy, x, by, a, b, d, positions, channels, dx);
  }
}

}  // namespace
}  // namespace cirkd

#endif  // CIRKD_NATIVE_BATCH_NORM_GRADIENT_H_
