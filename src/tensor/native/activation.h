// Activations as a range that values are kept in.
#ifndef CIRKD_NATIVE_ACTIVATION_H_
#define CIRKD_NATIVE_ACTIVATION_H_

#include <cstdint>
#include <limits>

#include "vectorMath.h"

namespace cirkd {

// As the ops number them.
enum class Activation : int32_t { kNone = 0, kRelu = 1, kRelu6 = 2 };

struct ActivationRange {
  float low, high;

  explicit ActivationRange(Activation activation)
      : low(activation == Activation::kNone ? -std::numeric_limits<float>::infinity() : 0.0f),
        high(activation == Activation::kRelu6 ? 6.0f : std::numeric_limits<float>::infinity()) {}
};

// NaN stays NaN: a broken value must be seen.
CIRKD_INLINE float Activate(float x, ActivationRange range) {
  const float raised = x < range.low ? range.low : x;
  return raised > range.high ? range.high : raised;
}

// The gradient before the activation, from that behind it and the activation's output.
CIRKD_INLINE float Gate(float dy, float y, ActivationRange range) {
  return (y > range.low) & (y < range.high) ? dy : 0.0f;
}

// y[c] = activation(x[c] * factor[c] + offset[c] [+ shortcut[c]]); y may be x.
CIRKD_INLINE void FinishRow(const float* x, const float* factor, const float* offset,
                            const float* shortcut, ActivationRange range, int64_t channels,
                            float* y) {
  if (shortcut == nullptr) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) y[c] = Activate(x[c] * factor[c] + offset[c], range);
  } else {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      y[c] = Activate(x[c] * factor[c] + offset[c] + shortcut[c], range);
    }
  }
}

// What is done to an output value of channel k before it leaves the cache:
// activation(value * factor[k] + offset[k] [+ shortcut of its own]).
struct Epilogue {
  const float* factor;
  const float* offset;
  const float* shortcut;  // of the output's shape, or null
  ActivationRange range;
};

// The rows [first, first + count) of a map with so many columns (channels).
CIRKD_INLINE void Finish(const Epilogue& epilogue, int64_t columns, int64_t first, int64_t count,
                         float* map) {
  for (int64_t row = first; row < first + count; ++row) {
    float* const at = map + row * columns;
    const float* const added =
        epilogue.shortcut == nullptr ? nullptr : epilogue.shortcut + row * columns;
    FinishRow(at, epilogue.factor, epilogue.offset, added, epilogue.range, columns, at);
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_ACTIVATION_H_
