// CirkdBatchNorm and CirkdBatchNormGrad: batch norm in training, fused with an optional shortcut and
// activation, in two passes over the map each. ../kernels/batchNorm.ts describes their inputs.
//
// P positions, C channels. Part of the addon, registered through TensorFlow's C API when it is loaded;
// CPU, float32.
#include "batchNorm.h"

namespace cirkd {
namespace {

// Inputs: x, shortcut (of x's shape, or empty), scale, offset, running mean, running variance, numbers
// (epsilon, momentum, activation). Outputs: as of NormaliseWith.
void ComputeForward(Call* call) {
  ForwardInputs of;
  if (!of.Read(call) || !call->Require(of.positions > 1, "x: one value per channel")) return;
  const int64_t channels = of.channels, positions = of.positions;
  const std::vector<float> shift = Shift(of.x, positions, channels);
  const Sums sums = Moments(of.x, shift.data(), positions, channels);
  Statistics statistics{std::vector<double>(channels), std::vector<double>(channels), positions};
  for (int64_t c = 0; c < channels; ++c) {
    const double shifted = sums.first[c] / positions;
    statistics.mean[c] = shift[c] + shifted;
    // Below 0 only because of rounding. Values that aren't finite stay so.
    const double difference = sums.second[c] / positions - shifted * shifted;
    statistics.variance[c] = difference < 0 ? 0.0 : difference;
  }
  NormaliseWith(call, statistics, of);
}

// Inputs: as of GradientInputs; numbers (activation, whether the shortcut's gradient is wanted). Outputs: dx, dscale,
// doffset, dshortcut (or empty).
void ComputeGradient(Call* call) {
  GradientInputs of;
  if (!of.Read(call, 2, "numbers: not two")) return;
  const int64_t channels = of.channels, positions = of.positions;
  const bool wants_shortcut = of.numbers[1] != 0.0f;
  float *const dx = call->Output(0, of.shape), *outputs[2];
  if (dx == nullptr || !ChannelOutputs(call, 2, channels, outputs)) return;
  float* const dz = call->Output(3, wants_shortcut ? of.shape : std::vector<int64_t>{0});
  if (dz == nullptr && wants_shortcut) return;
  const Sums total = GradientSums(of, wants_shortcut ? dz : nullptr);
  for (int64_t c = 0; c < channels; ++c) {
    outputs[0][c] = static_cast<float>(total.second[c] * of.inverse[c]);
    outputs[1][c] = static_cast<float>(total.first[c]);
  }
  GradientOfInput(of, total, positions, dx);
}

const bool registered = [] {
  Register<ComputeForward>("CirkdBatchNorm",
           {"x: float", "shortcut: float", "scale: float", "offset: float", "mean: float",
            "variance: float", "numbers: float"},
           {"y: float", "batch_mean: float", "inverse_deviation: float", "new_mean: float",
            "new_variance: float", "shift: float"});
  Register<ComputeGradient>("CirkdBatchNormGrad",
           {"dy: float", "x: float", "y: float", "scale: float", "mean: float",
            "inverse_deviation: float", "shift: float", "numbers: float"},
           {"dx: float", "dscale: float", "doffset: float", "dshortcut: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
