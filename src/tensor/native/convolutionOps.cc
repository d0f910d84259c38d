// CirkdConv2D, CirkdNormalisedConv2D, CirkdConv2DInputGrad and CirkdConv2DFilterGrad: ../ops/convolution.ts
// says what they take.
//
// Part of the addon, registered through TensorFlow's C API when that is loaded; CPU, float32.
#include <cmath>

#include "convolution.h"
#include "kernelCall.h"

namespace cirkd {
namespace {

// The inputs that the three ops share: a map and a map or weights, and the geometry.
struct Operands {
  const float* first = nullptr;
  const float* second = nullptr;
  std::vector<int64_t> first_shape, second_shape;
  ConvolutionShape shape{};
};

// geometry: stride, dilation, padding, and two sizes that the inputs' shapes don't say.
bool ReadOperands(Call* call, Operands* operands, int32_t sizes[2]) {
  std::vector<int64_t> geometry_shape;
  operands->first = call->Input(0, &operands->first_shape);
  if (operands->first == nullptr) return false;
  operands->second = call->Input(1, &operands->second_shape);
  if (operands->second == nullptr) return false;
  const int32_t* const geometry = call->Input<int32_t>(2, &geometry_shape);
  if (geometry == nullptr) return false;
  if (!call->Require(operands->first_shape.size() == 4 && operands->second_shape.size() == 4,
                     "inputs: not four-dimensional") ||
      !call->Require(geometry_shape == std::vector<int64_t>{5} && geometry[0] > 0 &&
                         geometry[1] > 0 && geometry[2] >= 0,
                     "geometry: not stride, dilation, padding and two sizes")) {
    return false;
  }
  operands->shape.stride = geometry[0];
  operands->shape.dilation = geometry[1];
  operands->shape.padding_rows = operands->shape.padding_columns = geometry[2];
  sizes[0] = geometry[3];
  sizes[1] = geometry[4];
  return true;
}

void SetWeights(ConvolutionShape* shape, int64_t rows, int64_t columns, int64_t inputs,
                int64_t outputs) {
  shape->tap_rows = rows;
  shape->tap_columns = columns;
  shape->inputs = inputs;
  shape->outputs = outputs;
}

void SetInput(ConvolutionShape* shape, int64_t images, int64_t height, int64_t width) {
  shape->images = images;
  shape->height = height;
  shape->width = width;
  const auto positions = [&](int64_t length, int64_t taps) {
    const int64_t room = length + 2 * shape->padding_rows - shape->dilation * (taps - 1) - 1;
    return room < 0 ? 0 : room / shape->stride + 1;
  };
  shape->out_height = positions(height, shape->tap_rows);
  shape->out_width = positions(width, shape->tap_columns);
}

bool IsOutput(const ConvolutionShape& shape, const std::vector<int64_t>& dy) {
  return dy == std::vector<int64_t>{shape.images, shape.out_height, shape.out_width, shape.outputs};
}

// The whole geometry of a convolution of `first` by `second`.
bool SetForward(Call* call, Operands* operands) {
  const auto &x = operands->first_shape, &w = operands->second_shape;
  ConvolutionShape& shape = operands->shape;
  SetWeights(&shape, w[0], w[1], w[2], w[3]);
  SetInput(&shape, x[0], x[1], x[2]);
  return call->Require(x[3] == w[2], "x: another number of channels than the weights take") &&
         call->Require(shape.out_height > 0 && shape.out_width > 0, "x: smaller than the kernel");
}

void ComputeForward(void*, TF_OpKernelContext* context) {
  Call call(context);
  Operands operands;
  int32_t sizes[2];
  if (!ReadOperands(&call, &operands, sizes) || !SetForward(&call, &operands)) return;
  const ConvolutionShape& shape = operands.shape;
  float* const y =
      call.Output(0, {shape.images, shape.out_height, shape.out_width, shape.outputs});
  if (y != nullptr) ConvolutionForward(shape, operands.first, operands.second, nullptr, y);
}

// Inputs after those of a convolution: shortcut (of y's shape, or empty), scale, offset, mean, variance,
// numbers (epsilon, activation).
void ComputeNormalised(void*, TF_OpKernelContext* context) {
  Call call(context);
  Operands operands;
  int32_t sizes[2];
  if (!ReadOperands(&call, &operands, sizes) || !SetForward(&call, &operands)) return;
  const ConvolutionShape& shape = operands.shape;
  const std::vector<int64_t> y_shape{shape.images, shape.out_height, shape.out_width, shape.outputs};
  std::vector<int64_t> other;
  const float* shortcut = call.Input(3, &other);
  if (other == std::vector<int64_t>{0}) {
    shortcut = nullptr;
  } else if (!call.Require(other == y_shape, "shortcut: not of the output's shape")) {
    return;
  }
  const float* vectors[4];
  for (int i = 0; i < 4; ++i) {
    vectors[i] = call.Input(4 + i, &other);
    if (vectors[i] == nullptr ||
        !call.Require(other == std::vector<int64_t>{shape.outputs}, "a vector is not of y's channels")) {
      return;
    }
  }
  const float* const numbers = call.Input(8, &other);
  if (numbers == nullptr || !call.Require(other == std::vector<int64_t>{2}, "numbers: not two")) {
    return;
  }
  float* const y = call.Output(0, y_shape);
  if (y == nullptr) return;
  std::vector<float> factor(shape.outputs), offset(shape.outputs);
  for (int64_t k = 0; k < shape.outputs; ++k) {
    factor[k] = vectors[0][k] / std::sqrt(vectors[3][k] + numbers[0]);
    offset[k] = vectors[1][k] - vectors[2][k] * factor[k];
  }
  const Epilogue epilogue{factor.data(), offset.data(), shortcut,
                          ActivationRange(static_cast<Activation>(static_cast<int>(numbers[1])))};
  ConvolutionForward(shape, operands.first, operands.second, &epilogue, y);
}

void ComputeInputGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  Operands operands;
  int32_t sizes[2];
  if (!ReadOperands(&call, &operands, sizes)) return;
  const auto &dy = operands.first_shape, &w = operands.second_shape;
  ConvolutionShape& shape = operands.shape;
  SetWeights(&shape, w[0], w[1], w[2], w[3]);
  SetInput(&shape, dy[0], sizes[0], sizes[1]);
  if (!call.Require(shape.stride == 1, "stride: more than 1") ||
      !call.Require(IsOutput(shape, dy), "dy: not of the output's shape")) {
    return;
  }
  float* const dx = call.Output(0, {dy[0], shape.height, shape.width, w[2]});
  if (dx != nullptr) ConvolutionInputGradient(shape, operands.first, operands.second, dx);
}

void ComputeFilterGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  Operands operands;
  int32_t taps[2];
  if (!ReadOperands(&call, &operands, taps)) return;
  const auto &x = operands.first_shape, &dy = operands.second_shape;
  ConvolutionShape& shape = operands.shape;
  SetWeights(&shape, taps[0], taps[1], x[3], dy[3]);
  SetInput(&shape, x[0], x[1], x[2]);
  if (!call.Require(IsOutput(shape, dy), "dy: not of the output's shape")) return;
  float* const dw = call.Output(0, {taps[0], taps[1], x[3], dy[3]});
  if (dw != nullptr) ConvolutionFilterGradient(shape, operands.first, operands.second, dw);
}

const bool registered = [] {
  Register("CirkdConv2D", {"x: float", "weights: float", "geometry: int32"}, {"y: float"},
           ComputeForward);
  Register("CirkdNormalisedConv2D",
           {"x: float", "weights: float", "geometry: int32", "shortcut: float", "scale: float",
            "offset: float", "mean: float", "variance: float", "numbers: float"},
           {"y: float"}, ComputeNormalised);
  Register("CirkdConv2DInputGrad", {"dy: float", "weights: float", "geometry: int32"},
           {"dx: float"}, ComputeInputGradient);
  Register("CirkdConv2DFilterGrad", {"x: float", "dy: float", "geometry: int32"}, {"dw: float"},
           ComputeFilterGradient);
  return true;
}();

}  // namespace
}  // namespace cirkd
