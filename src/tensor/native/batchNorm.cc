// CirkdBatchNorm and CirkdBatchNormGrad: batch norm in training, what is added to it and the activation
// behind it, in two passes over the map each. ../ops/batchNormActivation.ts says what they take.
//
// P positions, C channels. Part of the addon, registered through TensorFlow's C API when that is loaded;
// CPU, float32.
#include <cmath>
#include <vector>

#include "activation.h"
#include "kernelCall.h"
#include "threadPool.h"

namespace cirkd {
namespace {

// Positions that are summed in float32 before the sum goes into a double.
constexpr int64_t kChunk = 128;

// Adds to two sums a channel; the parts of the work have their own.
struct Sums {
  std::vector<double> first, second;
  std::vector<float> chunk_first, chunk_second;

  explicit Sums(int64_t channels)
      : first(channels), second(channels), chunk_first(channels), chunk_second(channels) {}

  void Begin() {
    std::fill(chunk_first.begin(), chunk_first.end(), 0.0f);
    std::fill(chunk_second.begin(), chunk_second.end(), 0.0f);
  }
  void End() {
    for (size_t c = 0; c < first.size(); ++c) {
      first[c] += chunk_first[c];
      second[c] += chunk_second[c];
    }
  }
};

// Sums of x - shift and of its square: near the values, so that few digits cancel.
CIRKD_VECTORISED void AddMoments(const float* x, const float* shift, int64_t positions,
                                 int64_t channels, float* first, float* second) {
  for (int64_t p = 0; p < positions; ++p, x += channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float d = x[c] - shift[c];
      first[c] += d;
      second[c] += d * d;
    }
  }
}

// y = activation(factor * x + offset [+ shortcut]).
CIRKD_VECTORISED void Normalise(const float* x, const float* shortcut, const float* factor,
                                const float* offset, ActivationRange range, int64_t positions,
                                int64_t channels, float* y) {
  for (int64_t p = 0; p < positions; ++p, x += channels, y += channels) {
    if (shortcut == nullptr) {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        y[c] = Activate(x[c] * factor[c] + offset[c], range.low, range.high);
      }
    } else {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        y[c] = Activate(x[c] * factor[c] + offset[c] + shortcut[c], range.low, range.high);
      }
      shortcut += channels;
    }
  }
}

// dz = dy where y is inside of the activation's range; sums of dz and of dz * (x - mean). `dz` may be null.
CIRKD_VECTORISED void AddGradients(const float* dy, const float* x, const float* y,
                                   const float* mean, ActivationRange range, int64_t positions,
                                   int64_t channels, float* dz, float* first, float* second) {
  for (int64_t p = 0; p < positions; ++p, dy += channels, x += channels, y += channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float g = (y[c] > range.low) & (y[c] < range.high) ? dy[c] : 0.0f;
      first[c] += g;
      second[c] += g * (x[c] - mean[c]);
    }
    if (dz == nullptr) continue;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      dz[c] = (y[c] > range.low) & (y[c] < range.high) ? dy[c] : 0.0f;
    }
    dz += channels;
  }
}

// dx = a * dz + b * x + d.
CIRKD_VECTORISED void InputGradient(const float* dy, const float* x, const float* y, const float* a,
                                    const float* b, const float* d, ActivationRange range,
                                    int64_t positions, int64_t channels, float* dx) {
  for (int64_t p = 0; p < positions; ++p) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float g = (y[c] > range.low) & (y[c] < range.high) ? dy[c] : 0.0f;
      dx[c] = a[c] * g + (b[c] * x[c] + d[c]);
    }
    dy += channels, x += channels, y += channels, dx += channels;
  }
}

// Positions [begin, end) of each part.
template <typename Work>
void OverPositions(int64_t positions, int64_t channels, int parts, const Work& work) {
  Pool::Get().Run(parts, [&](int part) {
    work(part, positions * part / parts, positions * (part + 1) / parts);
  });
}

int PartsOf(int64_t positions, int64_t channels) { return PartsFor(positions, positions * channels); }

Sums Total(const std::vector<Sums>& parts, int64_t channels) {
  Sums total(channels);
  for (const Sums& part : parts) {
    for (int64_t c = 0; c < channels; ++c) {
      total.first[c] += part.first[c];
      total.second[c] += part.second[c];
    }
  }
  return total;
}

Sums Moments(const float* x, int64_t positions, int64_t channels) {
  const int parts = PartsOf(positions, channels);
  std::vector<Sums> sums(parts, Sums(channels));
  OverPositions(positions, channels, parts, [&](int part, int64_t begin, int64_t end) {
    Sums& own = sums[part];
    for (int64_t p = begin; p < end; p += kChunk) {
      own.Begin();
      AddMoments(x + p * channels, x, std::min(kChunk, end - p), channels, own.chunk_first.data(),
                 own.chunk_second.data());
      own.End();
    }
  });
  return Total(sums, channels);
}

bool AreVectors(Call* call, int first, int count, int64_t channels, const float** vectors) {
  std::vector<int64_t> shape;
  for (int i = 0; i < count; ++i) {
    vectors[i] = call->Input(first + i, &shape);
    if (vectors[i] == nullptr) return false;
    if (!call->Require(shape == std::vector<int64_t>{channels}, "a vector is not of x's channels")) {
      return false;
    }
  }
  return true;
}

// A map's positions: all dimensions but the last.
int64_t PositionsOf(const std::vector<int64_t>& shape) {
  int64_t positions = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) positions *= shape[i];
  return positions;
}

// Inputs: x, shortcut (of x's shape, or empty), scale, offset, running mean, running variance, numbers
// (epsilon, momentum, activation).
void ComputeForward(void*, TF_OpKernelContext* context) {
  Call call(context);
  std::vector<int64_t> shape, other;
  const float* const x = call.Input(0, &shape);
  if (x == nullptr || !call.Require(shape.size() > 1, "x: no map")) return;
  const float* shortcut = call.Input(1, &other);
  if (other == std::vector<int64_t>{0}) {
    shortcut = nullptr;
  } else if (!call.Require(other == shape, "shortcut: another shape than x")) {
    return;
  }
  const int64_t channels = shape.back(), positions = PositionsOf(shape);
  const float* vectors[4];
  if (!AreVectors(&call, 2, 4, channels, vectors)) return;
  const float* const numbers = call.Input(6, &other);
  if (numbers == nullptr || !call.Require(other == std::vector<int64_t>{3}, "numbers: not three") ||
      !call.Require(positions > 1, "x: one value a channel")) {
    return;
  }
  float* const y = call.Output(0, shape);
  float* outputs[4];  // mean, 1 / deviation, new running mean, new running variance
  for (int i = 0; i < 4; ++i) outputs[i] = y == nullptr ? nullptr : call.Output(i + 1, {channels});
  if (outputs[3] == nullptr) return;
  const Sums sums = Moments(x, positions, channels);
  std::vector<float> factor(channels), offset(channels);
  const double momentum = numbers[1];
  for (int64_t c = 0; c < channels; ++c) {
    const double shifted = sums.first[c] / positions;
    const double variance = std::max(0.0, sums.second[c] / positions - shifted * shifted);
    const double mean = x[c] + shifted, inverse = 1.0 / std::sqrt(variance + numbers[0]);
    // A maximum with NaN may be 0: what isn't finite must stay so.
    const double checked = std::isfinite(sums.second[c]) ? variance : sums.second[c];
    outputs[0][c] = static_cast<float>(mean);
    outputs[1][c] = static_cast<float>(std::isfinite(checked) ? inverse : checked - checked);
    outputs[2][c] = static_cast<float>((1 - momentum) * vectors[2][c] + momentum * mean);
    outputs[3][c] = static_cast<float>((1 - momentum) * vectors[3][c] +
                                       momentum * checked * positions / (positions - 1));
    factor[c] = vectors[0][c] * outputs[1][c];
    offset[c] = static_cast<float>(vectors[1][c] - mean * factor[c]);
  }
  const ActivationRange range(static_cast<Activation>(static_cast<int>(numbers[2])));
  OverPositions(positions, channels, PartsOf(positions, channels),
                [&](int, int64_t begin, int64_t end) {
                  const int64_t at = begin * channels;
                  Normalise(x + at, shortcut == nullptr ? nullptr : shortcut + at, factor.data(),
                            offset.data(), range, end - begin, channels, y + at);
                });
}

// Inputs: dy, x, y, scale, mean, 1 / deviation, numbers (activation, whether the shortcut's gradient is
// wanted). Outputs: dx, dscale, doffset, dshortcut (or empty).
void ComputeGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  std::vector<int64_t> shape, other;
  const float* maps[3];
  for (int i = 0; i < 3; ++i) {
    maps[i] = call.Input(i, &other);
    if (maps[i] == nullptr) return;
    if (i == 0) shape = other;
    if (!call.Require(other == shape && shape.size() > 1, "dy, x and y: not of one shape")) return;
  }
  const auto [dy, x, y] = maps;
  const int64_t channels = shape.back(), positions = PositionsOf(shape);
  const float* vectors[3];
  if (!AreVectors(&call, 3, 3, channels, vectors)) return;
  const float* const numbers = call.Input(6, &other);
  if (numbers == nullptr || !call.Require(other == std::vector<int64_t>{2}, "numbers: not two")) {
    return;
  }
  float* const dx = call.Output(0, shape);
  float* const dscale = dx == nullptr ? nullptr : call.Output(1, {channels});
  float* const doffset = dscale == nullptr ? nullptr : call.Output(2, {channels});
  if (doffset == nullptr) return;
  const bool wants_shortcut = numbers[1] != 0.0f;
  float* const dz = call.Output(3, wants_shortcut ? shape : std::vector<int64_t>{0});
  if (dz == nullptr && wants_shortcut) return;
  const ActivationRange range(static_cast<Activation>(static_cast<int>(numbers[0])));
  const int parts = PartsOf(positions, channels);
  std::vector<Sums> sums(parts, Sums(channels));
  OverPositions(positions, channels, parts, [&](int part, int64_t begin, int64_t end) {
    Sums& own = sums[part];
    for (int64_t p = begin; p < end; p += kChunk) {
      const int64_t at = p * channels;
      own.Begin();
      AddGradients(dy + at, x + at, y + at, vectors[1], range, std::min(kChunk, end - p), channels,
                   wants_shortcut ? dz + at : nullptr, own.chunk_first.data(),
                   own.chunk_second.data());
      own.End();
    }
  });
  const Sums total = Total(sums, channels);
  std::vector<float> a(channels), b(channels), d(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = vectors[1][c], inverse = vectors[2][c];
    const double scale = total.second[c] * inverse;  // sum of dz * normalised x
    dscale[c] = static_cast<float>(scale);
    doffset[c] = static_cast<float>(total.first[c]);
    const double factor = vectors[0][c] * inverse;
    const double slope = -factor * scale * inverse / positions;
    a[c] = static_cast<float>(factor);
    b[c] = static_cast<float>(slope);
    d[c] = static_cast<float>(-factor * total.first[c] / positions - slope * mean);
  }
  OverPositions(positions, channels, parts, [&](int, int64_t begin, int64_t end) {
    const int64_t at = begin * channels;
    InputGradient(dy + at, x + at, y + at, a.data(), b.data(), d.data(), range, end - begin,
                  channels, dx + at);
  });
}

const bool registered = [] {
  Register("CirkdBatchNorm",
           {"x: float", "shortcut: float", "scale: float", "offset: float", "mean: float",
            "variance: float", "numbers: float"},
           {"y: float", "batch_mean: float", "inverse_deviation: float", "new_mean: float",
            "new_variance: float"},
           ComputeForward);
  Register("CirkdBatchNormGrad",
           {"dy: float", "x: float", "y: float", "scale: float", "mean: float",
            "inverse_deviation: float", "numbers: float"},
           {"dx: float", "dscale: float", "doffset: float", "dshortcut: float"}, ComputeGradient);
  return true;
}();

}  // namespace
}  // namespace cirkd
