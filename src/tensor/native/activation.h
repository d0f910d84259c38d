// Activations as a range to which values are clamped.
#ifndef CIRKD_NATIVE_ACTIVATION_H_
#define CIRKD_NATIVE_ACTIVATION_H_

#include <cstdint>
#include <limits>

#include "vectorMath.h"

namespace cirkd {

// The numbers that the ops take for activations.
enum class Activation : int32_t { kNone = 0, kRelu = 1, kRelu6 = 2 };

struct ActivationRange {
  float low, high;

  explicit ActivationRange(Activation activation)
      : low(activation == Activation::kNone ? -std::numeric_limits<float>::infinity() : 0.0f),
        high(activation == Activation::kRelu6 ? 6.0f : std::numeric_limits<float>::infinity()) {}
};

// NaN stays NaN, so that broken values are noticed.
CIRKD_INLINE float Activate(float x, ActivationRange range) {
  const float raised = x < range.low ? range.low : x;
  return raised > range.high ? range.high : raised;
}

// The gradient before the activation, given the gradient after it and the activation's output.
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

// The operation on an output value of channel k while it is in the cache:
// activation(value * factor[k] + offset[k] [+ the shortcut's value at the same position]).
struct Epilogue {
  const float* factor;
  const float* offset;
  const float* shortcut;  // has the output's shape; or null
  ActivationRange range;

  // For the output from an element on, the first of its position.
  Epilogue From(int64_t first) const {
    return {factor, offset, shortcut == nullptr ? nullptr : shortcut + first, range};
  }
};

// The part of an output that is computed at a time: columns [first, first + count) of rows of `all`.
struct Columns {
  int64_t first, count, all;
};

// Applies it to these columns of rows [first, first + count) of a map.
CIRKD_INLINE void Finish(const Epilogue& epilogue, const Columns& columns, int64_t first, int64_t count,
                         float* map) {
  for (int64_t row = first; row < first + count; ++row) {
    const int64_t begin = row * columns.all + columns.first;
    const float* const added = epilogue.shortcut == nullptr ? nullptr : epilogue.shortcut + begin;
    FinishRow(map + begin, epilogue.factor + columns.first, epilogue.offset + columns.first, added,
              epilogue.range, columns.count, map + begin);
  }
}

// Applies it to whole rows; `columns` is the number of channels.
CIRKD_INLINE void Finish(const Epilogue& epilogue, int64_t columns, int64_t first, int64_t count,
                         float* map) {
  Finish(epilogue, Columns{0, columns, columns}, first, count, map);
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_ACTIVATION_H_
