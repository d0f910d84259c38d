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
CIRKD_INLINE float Activate(float x, float low, float high) {
  const float raised = x < low ? low : x;
  return raised > high ? high : raised;
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_ACTIVATION_H_
