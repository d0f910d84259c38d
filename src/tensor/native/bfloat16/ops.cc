// CirkdBfloat16NormalisedConv2D, with the inputs of CirkdNormalisedConv2D (../../kernels/normalisedConvolution.ts), and
// CirkdBfloat16Products: 1 if the processor has an instruction for products of bfloat16 values, else 0.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU.
#include "../operands.h"
#include "convolution.h"
#include "tiles.h"

namespace cirkd {
namespace {

ConvolutionShape ShapeOf(const Operands& operands) {
  const Shape &x = operands.first_shape, &w = operands.second_shape;
  const auto [stride, dilation, padding] = operands.geometry;
  ConvolutionShape shape{};
  shape.images = x[0];
  shape.height = x[1];
  shape.width = x[2];
  shape.tap_rows = w[0];
  shape.tap_columns = w[1];
  shape.inputs = w[2];
  shape.outputs = w[3];
  shape.stride = stride;
  shape.dilation = dilation;
  shape.padding_rows = shape.padding_columns = padding;
  shape.out_height = operands.geometry.OutputLength(x[1], w[0]);
  shape.out_width = operands.geometry.OutputLength(x[2], w[1]);
  return shape;
}

void ComputeNormalised(Call* call) {
  Operands operands;
  NormInputs norm;
  if (!operands.Read(call)) return;
  const ConvolutionShape shape = ShapeOf(operands);
  const Shape y_shape{shape.images, shape.out_height, shape.out_width, shape.outputs};
  if (!call->Require(operands.first_shape[3] == shape.inputs,
                     "x: another number of channels than the weights take") ||
      !call->Require(shape.out_height > 0 && shape.out_width > 0, "x: smaller than the kernel") ||
      !norm.Read(call, y_shape)) {
    return;
  }
  float* const y = call->Output(0, y_shape);
  if (y == nullptr) return;
  const Epilogue epilogue = norm.epilogue();
  Bfloat16Forward(shape, operands.first, operands.second, &epilogue, y);
}

void TellProducts(Call* call) {
  int32_t* const has = call->Output<int32_t>(0, {1});
  if (has != nullptr) has[0] = HasBfloat16Products() ? 1 : 0;
}

const bool registered = [] {
  Register<ComputeNormalised>(
      "CirkdBfloat16NormalisedConv2D",
      {"x: float", "weights: float", "geometry: int32", "shortcut: float", "scale: float",
       "offset: float", "mean: float", "variance: float", "numbers: float"},
      {"y: float"});
  Register<TellProducts>("CirkdBfloat16Products", {}, {"has: int32"});
  return true;
}();

}  // namespace
}  // namespace cirkd
