// CirkdBatchNorm and CirkdBatchNormGrad: batch norm in training, fused with an optional shortcut and
// activation, in two passes over the map each. ../kernels/batchNorm.ts describes their inputs.
//
// P positions, C channels. Part of the addon, registered through TensorFlow's C API when it is loaded;
// CPU, float32.
#include "batchNorm.h"

namespace cirkd {
namespace {

// Inputs: x, shortcut (of x's shape, or empty), scale, offset, running mean, running variance, numbers
// (epsilon, momentum, activation). Outputs: y, mean, 1 / deviation, new running mean and variance.
void ComputeForward(Call* call) {
  std::vector<int64_t> shape;
  const float *shortcut, *vectors[4], *numbers;
  const float* const x = call->Input(0, &shape);
  if (x == nullptr || !call->Require(shape.size() > 1, "x: no map")) return;
  const int64_t channels = shape.back(), positions = PositionsOf(shape);
  if (!call->InputOf(1, shape, "shortcut: another shape than x", &shortcut, true) ||
      !call->Vectors(2, 4, channels, vectors) ||
      !call->InputOf(6, {3}, "numbers: not three", &numbers) ||
      !call->Require(positions > 1, "x: one value per channel")) {
    return;
  }
  const std::vector<float> shift = Shift(x, positions, channels);
  const Sums sums = Moments(x, shift.data(), positions, channels);
  Statistics of{std::vector<double>(channels), std::vector<double>(channels), positions};
  for (int64_t c = 0; c < channels; ++c) {
    const double shifted = sums.first[c] / positions;
    of.mean[c] = shift[c] + shifted;
    // Below 0 only because of rounding. Values that aren't finite stay so.
    const double difference = sums.second[c] / positions - shifted * shifted;
    of.variance[c] = difference < 0 ? 0.0 : difference;
  }
  NormaliseWith(call, of, x, shape, shortcut, vectors, numbers);
}

// Inputs: dy, x, y, scale, mean, 1 / deviation, numbers (activation, whether the shortcut's gradient is
// wanted). Outputs: dx, dscale, doffset, dshortcut (or empty).
void ComputeGradient(Call* call) {
  std::vector<int64_t> shape;
  const float *x, *y, *vectors[3], *numbers;
  const float* const dy = call->Input(0, &shape);
  if (dy == nullptr || !call->Require(shape.size() > 1, "dy: no map")) return;
  const int64_t channels = shape.back(), positions = PositionsOf(shape);
  if (!call->InputOf(1, shape, "x: another shape than dy", &x) ||
      !call->InputOf(2, shape, "y: another shape than dy", &y) ||
      !call->Vectors(3, 3, channels, vectors) ||
      !call->InputOf(6, {2}, "numbers: not two", &numbers)) {
    return;
  }
  const bool wants_shortcut = numbers[1] != 0.0f;
  float *const dx = call->Output(0, shape), *outputs[2];
  if (dx == nullptr || !ChannelOutputs(call, 2, channels, outputs)) return;
  float* const dz = call->Output(3, wants_shortcut ? shape : std::vector<int64_t>{0});
  if (dz == nullptr && wants_shortcut) return;
  const ActivationRange range(static_cast<Activation>(static_cast<int>(numbers[0])));
  const Sums total = GradientSums(dy, x, y, vectors[1], range, positions, channels,
                                  wants_shortcut ? dz : nullptr);
  for (int64_t c = 0; c < channels; ++c) {
    outputs[0][c] = static_cast<float>(total.second[c] * vectors[2][c]);
    outputs[1][c] = static_cast<float>(total.first[c]);
  }
  GradientOfInput(dy, x, y, vectors[0], vectors[1], vectors[2], total, positions, range, positions,
                  channels, dx);
}

const bool registered = [] {
  Register<ComputeForward>("CirkdBatchNorm",
           {"x: float", "shortcut: float", "scale: float", "offset: float", "mean: float",
            "variance: float", "numbers: float"},
           {"y: float", "batch_mean: float", "inverse_deviation: float", "new_mean: float",
            "new_variance: float"});
  Register<ComputeGradient>("CirkdBatchNormGrad",
           {"dy: float", "x: float", "y: float", "scale: float", "mean: float",
            "inverse_deviation: float", "numbers: float"},
           {"dx: float", "dscale: float", "doffset: float", "dshortcut: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
