// CirkdConv2D, CirkdBiasedConv2D, CirkdNormalisedConv2D, CirkdConv2DInputGrad and CirkdConv2DFilterGrad:
// ../kernels/convolution.ts and ../kernels/normalisedConvolution.ts describe their inputs.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include "convolution.h"
#include "operands.h"

namespace cirkd {
namespace {

// images, height and width are the input's; taps, inputs and outputs those of the weights [R, S, C, K].
ConvolutionShape ShapeOf(const Geometry& geometry, int64_t images, int64_t height, int64_t width,
                         const Shape& weights) {
  ConvolutionShape shape{};
  shape.images = images;
  shape.height = height;
  shape.width = width;
  shape.tap_rows = weights[0];
  shape.tap_columns = weights[1];
  shape.inputs = weights[2];
  shape.outputs = weights[3];
  shape.stride = geometry.stride;
  shape.dilation = geometry.dilation;
  shape.padding_rows = shape.padding_columns = geometry.padding;
  shape.out_height = geometry.OutputLength(height, weights[0]);
  shape.out_width = geometry.OutputLength(width, weights[1]);
  return shape;
}

Shape OutputShape(const ConvolutionShape& shape) {
  return {shape.images, shape.out_height, shape.out_width, shape.outputs};
}

// A convolution of `first` by `second`.
bool ReadForward(Call* call, Operands* operands, ConvolutionShape* shape) {
  if (!operands->Read(call)) return false;
  const Shape &x = operands->first_shape, &w = operands->second_shape;
  *shape = ShapeOf(operands->geometry, x[0], x[1], x[2], w);
  return call->Require(x[3] == w[2], "x: another number of channels than the weights take") &&
         call->Require(shape->out_height > 0 && shape->out_width > 0, "x: smaller than the kernel");
}

void ComputeForward(Call* call) {
  Operands operands;
  ConvolutionShape shape;
  if (!ReadForward(call, &operands, &shape)) return;
  float* const y = call->Output(0, OutputShape(shape));
  if (y != nullptr) ConvolutionForward(shape, operands.first, operands.second, nullptr, y);
}

void ComputeBiased(Call* call) {
  Operands operands;
  ConvolutionShape shape;
  BiasInput bias;
  if (!ReadForward(call, &operands, &shape) || !bias.Read(call, shape.outputs)) return;
  float* const y = call->Output(0, OutputShape(shape));
  if (y == nullptr) return;
  const Epilogue epilogue = bias.epilogue();
  ConvolutionForward(shape, operands.first, operands.second, &epilogue, y);
}

void ComputeNormalised(Call* call) {
  Operands operands;
  ConvolutionShape shape;
  NormInputs norm;
  if (!ReadForward(call, &operands, &shape) || !norm.Read(call, OutputShape(shape))) return;
  float* const y = call->Output(0, OutputShape(shape));
  if (y == nullptr) return;
  const Epilogue epilogue = norm.epilogue();
  ConvolutionForward(shape, operands.first, operands.second, &epilogue, y);
}

void ComputeInputGradient(Call* call) {
  Operands operands;
  if (!operands.Read(call)) return;
  const Shape &dy = operands.first_shape, &w = operands.second_shape;
  const int64_t height = operands.sizes[0], width = operands.sizes[1];
  const ConvolutionShape shape = ShapeOf(operands.geometry, dy[0], height, width, w);
  if (!call->Require(shape.stride == 1, "stride: more than 1") ||
      !call->Require(dy == OutputShape(shape), "dy: not of the output's shape")) {
    return;
  }
  float* const dx = call->Output(0, {dy[0], height, width, w[2]});
  if (dx != nullptr) ConvolutionInputGradient(shape, operands.first, operands.second, dx);
}

void ComputeFilterGradient(Call* call) {
  Operands operands;
  if (!operands.Read(call)) return;
  const Shape &x = operands.first_shape, &dy = operands.second_shape;
  const Shape weights{operands.sizes[0], operands.sizes[1], x[3], dy[3]};
  const ConvolutionShape shape = ShapeOf(operands.geometry, x[0], x[1], x[2], weights);
  if (!call->Require(dy == OutputShape(shape), "dy: not of the output's shape")) return;
  float* const dw = call->Output(0, weights);
  if (dw != nullptr) ConvolutionFilterGradient(shape, operands.first, operands.second, dw);
}

const bool registered = [] {
  Register<ComputeForward>("CirkdConv2D", {"x: float", "weights: float", "geometry: int32"},
                           {"y: float"});
  Register<ComputeBiased>(
      "CirkdBiasedConv2D",
      {"x: float", "weights: float", "geometry: int32", "bias: float"}, {"y: float"});
  Register<ComputeNormalised>(
      "CirkdNormalisedConv2D",
      {"x: float", "weights: float", "geometry: int32", "shortcut: float", "scale: float",
       "offset: float", "mean: float", "variance: float", "numbers: float"},
      {"y: float"});
  Register<ComputeInputGradient>("CirkdConv2DInputGrad",
                                 {"dy: float", "weights: float", "geometry: int32"}, {"dx: float"});
  Register<ComputeFilterGradient>("CirkdConv2DFilterGrad",
                                  {"x: float", "dy: float", "geometry: int32"}, {"dw: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
