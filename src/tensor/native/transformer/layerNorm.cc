// CirkdLayerNorm and CirkdLayerNormGrad: layer norm over the last axis, in one pass over the map each.
// ../../kernels/layerNorm.ts describes their inputs.
//
// P positions, C channels. Part of the addon, registered through TensorFlow's C API when it is loaded;
// CPU, float32.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernelCall.h"
#include "level.h"
#include "threadPool.h"

namespace cirkd {
namespace {

// Number of positions that are summed in float32 before the sum is added to a double.
constexpr int64_t kChunk = 128;

CIRKD_VECTORISED void NormaliseRows(const float* x, const float* scale, const float* offset,
                                    float epsilon, int64_t channels, int64_t begin, int64_t end,
                                    float* y, float* means, float* inverses) {
  const float share = 1.0f / channels;
  for (int64_t p = begin; p < end; ++p) {
    const float* const row = x + p * channels;
    float* const to = y + p * channels;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < channels; ++c) sum += row[c];
    const float mean = sum * share;
    float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
    for (int64_t c = 0; c < channels; ++c) squares += (row[c] - mean) * (row[c] - mean);
    const float inverse = 1.0f / std::sqrt(squares * share + epsilon);
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) to[c] = (row[c] - mean) * inverse * scale[c] + offset[c];
    means[p] = mean;
    inverses[p] = inverse;
  }
}

// dx = inverse * (d - mean(d) - n * mean(d * n)) with d = dy * scale and n the normalised x, means over the
// channels. Adds to the sums of dy * n and of dy.
CIRKD_VECTORISED void GradientRows(const float* dy, const float* x, const float* scale,
                                   const float* means, const float* inverses, int64_t channels,
                                   int64_t begin, int64_t end, float* dx, float* scale_sums,
                                   float* offset_sums) {
  const float share = 1.0f / channels;
  for (int64_t p = begin; p < end; ++p) {
    const float *const g = dy + p * channels, *const row = x + p * channels;
    float* const to = dx + p * channels;
    const float mean = means[p], inverse = inverses[p];
    float sum = 0.0f, along = 0.0f;
#pragma omp simd reduction(+ : sum, along)
    for (int64_t c = 0; c < channels; ++c) {
      const float n = (row[c] - mean) * inverse, d = g[c] * scale[c];
      sum += d;
      along += d * n;
      scale_sums[c] += g[c] * n;
      offset_sums[c] += g[c];
    }
    const float shift = sum * share, slope = along * share;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float n = (row[c] - mean) * inverse;
      to[c] = inverse * (g[c] * scale[c] - shift - n * slope);
    }
  }
}

struct Map {
  std::vector<int64_t> shape, rows;  // of the map, and of numbers for each position
  int64_t positions, channels;

  // False where it has no channels.
  bool Read(Call* call, const std::vector<int64_t>& given) {
    shape = given;
    if (!call->Require(!given.empty() && given.back() > 0, "map: no channels")) return false;
    rows.assign(given.begin(), given.end() - 1);
    channels = given.back();
    positions = 1;
    for (const int64_t side : rows) positions *= side;
    return true;
  }

  int parts() const { return PartsFor(positions, positions * channels); }
};

// Inputs: x, scale, offset, numbers (epsilon). Outputs: y, and of each position mean and 1 / deviation.
void ComputeForward(Call* call) {
  std::vector<int64_t> shape;
  Map map;
  const float *vectors[2], *numbers;
  const float* const x = call->Input(0, &shape);
  if (x == nullptr || !map.Read(call, shape) || !call->Vectors(1, 2, map.channels, vectors) ||
      !call->InputOf(3, {1}, "numbers: not one", &numbers)) {
    return;
  }
  float* const y = call->Output(0, shape);
  float* const means = y == nullptr ? nullptr : call->Output(1, map.rows);
  float* const inverses = means == nullptr ? nullptr : call->Output(2, map.rows);
  if (inverses == nullptr) return;
  const int parts = map.parts();
  Pool::Get().Run(parts, [&](int part) {
    NormaliseRows(x, vectors[0], vectors[1], numbers[0], map.channels, map.positions * part / parts,
                  map.positions * (part + 1) / parts, y, means, inverses);
  });
}

// Inputs: dy, x, scale, mean, 1 / deviation. Outputs: dx, dscale, doffset.
void ComputeGradient(Call* call) {
  std::vector<int64_t> shape;
  Map map;
  const float *x, *scale, *means, *inverses;
  const float* const dy = call->Input(0, &shape);
  if (dy == nullptr || !map.Read(call, shape) ||
      !call->InputOf(1, shape, "x: another shape than dy", &x) ||
      !call->Vectors(2, 1, map.channels, &scale) ||
      !call->InputOf(3, map.rows, "mean: not one number for each position", &means) ||
      !call->InputOf(4, map.rows, "deviation: not one number for each position", &inverses)) {
    return;
  }
  float* const dx = call->Output(0, shape);
  float* const dscale = dx == nullptr ? nullptr : call->Output(1, {map.channels});
  float* const doffset = dscale == nullptr ? nullptr : call->Output(2, {map.channels});
  if (doffset == nullptr) return;
  const int64_t channels = map.channels;
  const int parts = map.parts();
  // Each part's sums: of the scale's gradient, then of the offset's.
  std::vector<std::vector<double>> sums(parts, std::vector<double>(2 * channels, 0.0));
  Pool::Get().Run(parts, [&](int part) {
    std::vector<float> chunk(2 * channels);
    const int64_t last = map.positions * (part + 1) / parts;
    for (int64_t begin = map.positions * part / parts; begin < last; begin += kChunk) {
      std::fill(chunk.begin(), chunk.end(), 0.0f);
      GradientRows(dy, x, scale, means, inverses, channels, begin, std::min(begin + kChunk, last), dx,
                   chunk.data(), chunk.data() + channels);
      for (int64_t c = 0; c < 2 * channels; ++c) sums[part][c] += chunk[c];
    }
  });
  for (int64_t c = 0; c < 2 * channels; ++c) {
    double total = 0.0;
    for (const std::vector<double>& own : sums) total += own[c];
    (c < channels ? dscale[c] : doffset[c - channels]) = static_cast<float>(total);
  }
}

const bool registered = [] {
  Register<ComputeForward>("CirkdLayerNorm",
                           {"x: float", "scale: float", "offset: float", "numbers: float"},
                           {"y: float", "mean: float", "inverse_deviation: float"});
  Register<ComputeGradient>("CirkdLayerNormGrad",
                            {"dy: float", "x: float", "scale: float", "mean: float",
                             "inverse_deviation: float"},
                            {"dx: float", "dscale: float", "doffset: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
