// Batch norm in training whose statistics are those of all ranks of a group: each direction in two ops, with
// a collective between them. ../kernels/sharedBatchNorm.ts describes their inputs.
//
// C channels, R ranks with equally large maps. Part of the addon; CPU, float32.
#include "batchNorm.h"

namespace cirkd {
namespace {

// Input: x. Output: its mean [C], then the sum of squared differences from it [C].
void ComputeMoments(Call* call) {
  std::vector<int64_t> shape;
  const float* const x = call->Input(0, &shape);
  if (x == nullptr || !call->Require(shape.size() > 1, "x: no map")) return;
  const int64_t channels = shape.back(), positions = PositionsOf(shape);
  float* const moments = call->Output(0, {1, 2 * channels});
  if (moments == nullptr) return;
  const std::vector<float> shift = Shift(x, positions, channels);
  const Sums sums = Moments(x, shift.data(), positions, channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double shifted = sums.first[c] / positions;
    const double squares = sums.second[c] - shifted * shifted * positions;
    moments[c] = static_cast<float>(shift[c] + shifted);
    moments[channels + c] = static_cast<float>(squares < 0 ? 0.0 : squares);
  }
}

// Mean and variance over all ranks from each rank's, in the order of the ranks (Chan et al. 1979).
Statistics Joined(const float* moments, int64_t ranks, int64_t positions, int64_t channels) {
  Statistics of{std::vector<double>(channels), std::vector<double>(channels), ranks * positions};
  for (int64_t c = 0; c < channels; ++c) {
    double mean = 0, squares = 0;
    for (int64_t r = 0; r < ranks; ++r) mean += moments[r * 2 * channels + c];
    mean /= ranks;
    for (int64_t r = 0; r < ranks; ++r) {
      const float* const own = moments + r * 2 * channels;
      const double difference = own[c] - mean;
      squares += own[channels + c] + positions * difference * difference;
    }
    of.mean[c] = mean;
    of.variance[c] = squares / of.positions;
  }
  return of;
}

// Inputs: as of CirkdBatchNorm, then every rank's moments [R, 2 C]. Outputs: as of CirkdBatchNorm.
void ComputeForward(Call* call) {
  ForwardInputs of;
  if (!of.Read(call)) return;
  std::vector<int64_t> ranks;
  const int64_t channels = of.channels, positions = of.positions;
  const float* const moments = call->Input(7, &ranks);
  if (moments == nullptr ||
      !call->Require(ranks.size() == 2 && ranks[1] == 2 * channels, "moments: not two per channel") ||
      !call->Require(ranks[0] * positions > 1, "x: one value per channel")) {
    return;
  }
  NormaliseWith(call, Joined(moments, ranks[0], positions, channels), of);
}

// Inputs: as of GradientInputs, with statistics over all ranks; numbers (activation, whether the shortcut's gradient
// is wanted). Outputs: this rank's sums [1, 2 C] of dz and of dz * (x - mean), dscale, doffset, dshortcut (or empty).
void ComputeGradientSums(Call* call) {
  GradientInputs of;
  if (!of.Read(call, 2, "numbers: not two")) return;
  const int64_t channels = of.channels;
  const bool wants_shortcut = of.numbers[1] != 0.0f;
  float *const sums = call->Output(0, {1, 2 * channels}), *outputs[2];
  if (sums == nullptr || !ChannelOutputs(call, 2, channels, outputs)) return;
  float* const dz = call->Output(3, wants_shortcut ? of.shape : std::vector<int64_t>{0});
  if (dz == nullptr && wants_shortcut) return;
  const Sums total = GradientSums(of, wants_shortcut ? dz : nullptr);
  for (int64_t c = 0; c < channels; ++c) {
    sums[c] = static_cast<float>(total.first[c]);
    sums[channels + c] = static_cast<float>(total.second[c]);
    outputs[0][c] = static_cast<float>(total.second[c] * of.inverse[c]);
    outputs[1][c] = static_cast<float>(total.first[c]);
  }
}

// Inputs: as of GradientInputs; numbers (activation), every rank's sums [R, 2 C]. Output: dx.
void ComputeGradient(Call* call) {
  GradientInputs of;
  if (!of.Read(call, 1, "numbers: not one")) return;
  std::vector<int64_t> ranks;
  const int64_t channels = of.channels;
  const float* const sums = call->Input(8, &ranks);
  if (sums == nullptr ||
      !call->Require(ranks.size() == 2 && ranks[1] == 2 * channels, "sums: not two per channel")) {
    return;
  }
  float* const dx = call->Output(0, of.shape);
  if (dx == nullptr) return;
  Sums total(channels);
  for (int64_t r = 0; r < ranks[0]; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      total.first[c] += sums[r * 2 * channels + c];
      total.second[c] += sums[r * 2 * channels + channels + c];
    }
  }
  GradientOfInput(of, total, ranks[0] * of.positions, dx);
}

const bool registered = [] {
  Register<ComputeMoments>("CirkdBatchNormMoments", {"x: float"}, {"moments: float"});
  Register<ComputeForward>("CirkdSharedBatchNorm",
           {"x: float", "shortcut: float", "scale: float", "offset: float", "mean: float",
            "variance: float", "numbers: float", "moments: float"},
           {"y: float", "batch_mean: float", "inverse_deviation: float", "new_mean: float",
            "new_variance: float", "shift: float"});
  Register<ComputeGradientSums>("CirkdBatchNormGradSums",
           {"dy: float", "x: float", "y: float", "scale: float", "mean: float",
            "inverse_deviation: float", "shift: float", "numbers: float"},
           {"sums: float", "dscale: float", "doffset: float", "dshortcut: float"});
  Register<ComputeGradient>("CirkdSharedBatchNormGrad",
           {"dy: float", "x: float", "y: float", "scale: float", "mean: float",
            "inverse_deviation: float", "shift: float", "numbers: float", "sums: float"},
           {"dx: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
