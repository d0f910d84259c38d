// CirkdDepthwise, CirkdBiasedDepthwise, CirkdNormalisedDepthwise, CirkdDepthwiseInputGrad and
// CirkdDepthwiseFilterGrad: one filter per channel, any stride and dilation. ../kernels/depthwise.ts describes their inputs.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include "depthwise.h"

#include "operands.h"
#include "threadPool.h"

namespace cirkd {
namespace {

CIRKD_AT_BEST_LEVEL(GatherRowsAtBest, GatherRows)
CIRKD_AT_BEST_LEVEL(FilterGradientRowsAtBest, FilterGradientRows)

void RunGather(const Maps& maps, const Runs& runs, int64_t images, const float* source, const float* weights,
               const Epilogue* epilogue, float* target) {
  const int64_t rows = images * maps.rows.size();
  const int64_t elements = rows * maps.columns.size() * maps.channels;
  const int parts = PartsFor(rows, elements);
  Pool::Get().Run(parts, [&](int part) {
    GatherRowsAtBest(maps, runs, source, weights, rows * part / parts, rows * (part + 1) / parts, epilogue,
                     target);
  });
}

// The output's shape for x_NHWC and the given number of taps.
Shape OutputShape(const Geometry& geometry, int64_t images, int64_t height, int64_t width,
                  int64_t channels, int64_t tap_rows, int64_t tap_columns) {
  return {images, geometry.OutputLength(height, tap_rows), geometry.OutputLength(width, tap_columns),
          channels};
}

bool ReadForward(Call* call, Operands* operands, Shape* y) {
  if (!operands->Read(call)) return false;
  const Shape &x = operands->first_shape, &w = operands->second_shape;
  *y = OutputShape(operands->geometry, x[0], x[1], x[2], x[3], w[0], w[1]);
  return call->Require(w[2] == x[3] && w[3] == 1, "weights: not one filter for each channel of x") &&
         call->Require((*y)[1] > 0 && (*y)[2] > 0, "x: smaller than the kernel");
}

void RunForward(const Operands& operands, const Shape& y_shape, const Epilogue* epilogue, float* y) {
  const Shape &x = operands.first_shape, &w = operands.second_shape;
  const Axis rows = ForwardAxis(y_shape[1], x[1], w[0], operands.geometry);
  const Axis columns = ForwardAxis(y_shape[2], x[2], w[1], operands.geometry);
  const Runs runs = RunsOf(columns, 1, operands.geometry.stride);
  RunGather({x[3], w[1], rows, columns, x[1], x[2]}, runs, x[0], operands.first, operands.second, epilogue, y);
}

void ComputeForward(Call* call) {
  Operands operands;
  Shape shape;
  if (!ReadForward(call, &operands, &shape)) return;
  float* const y = call->Output(0, shape);
  if (y != nullptr) RunForward(operands, shape, nullptr, y);
}

void ComputeBiased(Call* call) {
  Operands operands;
  Shape shape;
  BiasInput bias;
  if (!ReadForward(call, &operands, &shape) || !bias.Read(call, shape.back())) return;
  float* const y = call->Output(0, shape);
  if (y == nullptr) return;
  const Epilogue epilogue = bias.epilogue();
  RunForward(operands, shape, &epilogue, y);
}

void ComputeNormalised(Call* call) {
  Operands operands;
  Shape shape;
  NormInputs norm;
  if (!ReadForward(call, &operands, &shape) || !norm.Read(call, shape)) return;
  float* const y = call->Output(0, shape);
  if (y == nullptr) return;
  const Epilogue epilogue = norm.epilogue();
  RunForward(operands, shape, &epilogue, y);
}

void ComputeInputGradient(Call* call) {
  Operands operands;
  if (!operands.Read(call)) return;
  const Shape &dy = operands.first_shape, &w = operands.second_shape;
  const int64_t height = operands.sizes[0], width = operands.sizes[1];
  const Geometry& geometry = operands.geometry;
  if (!call->Require(dy == OutputShape(geometry, dy[0], height, width, w[2], w[0], w[1]) && w[3] == 1,
                     "dy: not of the output's shape")) {
    return;
  }
  float* const dx = call->Output(0, {dy[0], height, width, dy[3]});
  if (dx == nullptr) return;
  const Axis rows = Reversed(ForwardAxis(dy[1], height, w[0], geometry), height);
  const Axis columns = Reversed(ForwardAxis(dy[2], width, w[1], geometry), width);
  const Runs runs = RunsOf(columns, geometry.stride, 1);
  RunGather({dy[3], w[1], rows, columns, dy[1], dy[2]}, runs, dy[0], operands.first, operands.second, nullptr, dx);
}

void ComputeFilterGradient(Call* call) {
  Operands operands;
  if (!operands.Read(call)) return;
  const Shape &x = operands.first_shape, &dy = operands.second_shape;
  const Geometry& geometry = operands.geometry;
  const int64_t tap_rows = operands.sizes[0], tap_columns = operands.sizes[1], channels = x[3];
  if (!call->Require(dy == OutputShape(geometry, x[0], x[1], x[2], channels, tap_rows, tap_columns),
                     "dy: not of the output's shape")) {
    return;
  }
  const int64_t size = tap_rows * tap_columns * channels;
  float* const dw = call->Output(0, {tap_rows, tap_columns, channels, 1});
  if (dw == nullptr) return;
  const Axis rows = ForwardAxis(dy[1], x[1], tap_rows, geometry);
  const Axis columns = ForwardAxis(dy[2], x[2], tap_columns, geometry);
  const Maps maps{channels, tap_columns, rows, columns, x[1], x[2]};
  const int64_t total = dy[0] * dy[1];
  const int parts = PartsFor(total, total * dy[2] * channels);
  std::vector<std::vector<float>> sums(parts, std::vector<float>(size, 0.0f));
  Pool::Get().Run(parts, [&](int part) {
    FilterGradientRowsAtBest(maps, geometry, operands.first, operands.second,
                             total * part / parts, total * (part + 1) / parts, sums[part].data());
  });
  std::copy(sums[0].begin(), sums[0].end(), dw);
  for (int part = 1; part < parts; ++part) {
    for (int64_t i = 0; i < size; ++i) dw[i] += sums[part][i];
  }
}

const bool registered = [] {
  Register<ComputeForward>("CirkdDepthwise", {"x: float", "weights: float", "geometry: int32"},
                           {"y: float"});
  Register<ComputeBiased>(
      "CirkdBiasedDepthwise",
      {"x: float", "weights: float", "geometry: int32", "bias: float"}, {"y: float"});
  Register<ComputeNormalised>(
      "CirkdNormalisedDepthwise",
      {"x: float", "weights: float", "geometry: int32", "shortcut: float", "scale: float",
       "offset: float", "mean: float", "variance: float", "numbers: float"},
      {"y: float"});
  Register<ComputeInputGradient>("CirkdDepthwiseInputGrad",
                                 {"dy: float", "weights: float", "geometry: int32"}, {"dx: float"});
  Register<ComputeFilterGradient>("CirkdDepthwiseFilterGrad",
                                  {"x: float", "dy: float", "geometry: int32"}, {"dw: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
