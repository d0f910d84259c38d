// The operands of the ops for dense and depthwise convolutions.
#ifndef CIRKD_NATIVE_OPERANDS_H_
#define CIRKD_NATIVE_OPERANDS_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "activation.h"
#include "kernelCall.h"

namespace cirkd {

using Shape = std::vector<int64_t>;

struct Geometry {
  int64_t stride, dilation, padding;

  // Output positions along an axis with the given input positions and taps; 0: the input is too small.
  int64_t OutputLength(int64_t length, int64_t taps) const {
    const int64_t room = length + 2 * padding - dilation * (taps - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
};

// Inputs 0 to 2: two maps, or a map and weights; and stride, dilation, padding and two sizes that the
// shapes lack.
struct Operands {
  const float *first, *second;
  Shape first_shape, second_shape;
  Geometry geometry;
  int64_t sizes[2];

  bool Read(Call* call) {
    Shape shape;
    first = call->Input(0, &first_shape);
    second = first == nullptr ? nullptr : call->Input(1, &second_shape);
    const int32_t* const numbers = second == nullptr ? nullptr : call->Input<int32_t>(2, &shape);
    if (numbers == nullptr ||
        !call->Require(first_shape.size() == 4 && second_shape.size() == 4,
                       "inputs: not four-dimensional") ||
        !call->Require(shape == Shape{5} && numbers[0] > 0 && numbers[1] > 0 && numbers[2] >= 0 &&
                           numbers[3] >= 0 && numbers[4] >= 0,
                       "geometry: not stride, dilation, padding and two sizes")) {
      return false;
    }
    geometry = {numbers[0], numbers[1], numbers[2]};
    sizes[0] = numbers[3];
    sizes[1] = numbers[4];
    bool is_empty = false;
    for (const int64_t size : first_shape) is_empty |= size == 0;
    for (const int64_t size : second_shape) is_empty |= size == 0;
    return call->Require(!is_empty, "inputs: one is empty");
  }
};

// Input 3 of an op that adds a bias for each channel to its output.
class BiasInput {
 public:
  bool Read(Call* call, int64_t channels) {
    if (!call->Vectors(3, 1, channels, &bias_)) return false;
    ones_.assign(channels, 1.0f);
    return true;
  }

  // Valid as long as this object and the call.
  Epilogue epilogue() const {
    return {ones_.data(), bias_, nullptr, ActivationRange(Activation::kNone)};
  }

 private:
  std::vector<float> ones_;
  const float* bias_ = nullptr;
};

// Inputs 3 to 8 of an op that normalises its output: shortcut (with y's shape, or empty), scale, offset,
// mean, variance, numbers (epsilon, activation).
class NormInputs {
 public:
  bool Read(Call* call, const Shape& y_shape) {
    const int64_t channels = y_shape.back();
    const float *vectors[4], *numbers;
    if (!call->InputOf(3, y_shape, "shortcut: not of the output's shape", &shortcut_, true) ||
        !call->Vectors(4, 4, channels, vectors) ||
        !call->InputOf(8, {2}, "numbers: not two", &numbers)) {
      return false;
    }
    for (int64_t k = 0; k < channels; ++k) {
      factor_.push_back(vectors[0][k] / std::sqrt(vectors[3][k] + numbers[0]));
      offset_.push_back(vectors[1][k] - vectors[2][k] * factor_[k]);
    }
    activation_ = static_cast<Activation>(static_cast<int>(numbers[1]));
    return true;
  }

  // Valid as long as this object.
  Epilogue epilogue() const {
    return {factor_.data(), offset_.data(), shortcut_, ActivationRange(activation_)};
  }

 private:
  std::vector<float> factor_, offset_;
  const float* shortcut_ = nullptr;
  Activation activation_ = Activation::kNone;
};

}  // namespace cirkd

#endif  // CIRKD_NATIVE_OPERANDS_H_
