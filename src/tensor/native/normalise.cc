// CirkdNormalise: the map of a batch norm in training once more, bit for bit, for a backward pass that doesn't keep it.
// ../kernels/batchNorm.ts describes its inputs.
//
// P positions, C channels. Part of the addon; CPU, float32.
#include "batchNorm.h"

namespace cirkd {
namespace {

// Inputs: x, shortcut (of x's shape, or empty), scale, 1 / deviation and shift as CirkdBatchNorm gave them, numbers
// (activation). Output: y.
void Compute(Call* call) {
  std::vector<int64_t> shape;
  const float* const x = call->Input(0, &shape);
  if (x == nullptr || !call->Require(shape.size() > 1, "x: no map")) return;
  const int64_t channels = shape.back();
  const float *shortcut, *vectors[3], *numbers;
  if (!call->InputOf(1, shape, "shortcut: another shape than x", &shortcut, true) ||
      !call->Vectors(2, 3, channels, vectors) || !call->InputOf(5, {1}, "numbers: not one", &numbers)) {
    return;
  }
  float* const y = call->Output(0, shape);
  if (y == nullptr) return;
  NormaliseMap(x, shortcut, vectors[0], vectors[1], vectors[2], numbers[0], PositionsOf(shape), channels, y);
}

const bool registered = [] {
  Register<Compute>("CirkdNormalise",
                    {"x: float", "shortcut: float", "scale: float", "inverse_deviation: float", "shift: float",
                     "numbers: float"},
                    {"y: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
