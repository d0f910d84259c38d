// Passes over the map of a batch norm in training: sums per channel, the normalised map, and the gradients.
//
// P positions, C channels; CPU, float32.
#ifndef CIRKD_NATIVE_BATCH_NORM_H_
#define CIRKD_NATIVE_BATCH_NORM_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "activation.h"
#include "batchNormGradient.h"
#include "kernelCall.h"
#include "threadPool.h"

namespace cirkd {
namespace {

// Number of positions that are summed in float32 before the sum is added to a double.
constexpr int64_t kChunk = 128;

// Two sums per channel; each part of the work has its own.
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

// Sums of x - shift and of its square; with a shift close to the values little precision cancels.
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

CIRKD_VECTORISED void NormaliseRows(const float* x, const Epilogue& how, int64_t begin, int64_t end,
                                    int64_t channels, float* y) {
  for (int64_t p = begin; p < end; ++p) {
    const int64_t at = p * channels;
    const float* const added = how.shortcut == nullptr ? nullptr : how.shortcut + at;
    FinishRow(x + at, how.factor, how.offset, added, how.range, channels, y + at);
  }
}

// Calls work(part, begin, end) with the positions [begin, end) of each part.
template <typename Work>
void OverPositions(int64_t positions, int parts, const Work& work) {
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

// An estimate of each channel's mean, from positions all over the map.
std::vector<float> Shift(const float* x, int64_t positions, int64_t channels) {
  const int64_t count = std::min(kChunk, positions);
  std::vector<float> shift(channels, 0.0f);
  for (int64_t i = 0; i < count; ++i) {
    const float* const at = x + positions * i / count * channels;
    for (int64_t c = 0; c < channels; ++c) shift[c] += at[c] / count;
  }
  return shift;
}

Sums Moments(const float* x, const float* shift, int64_t positions, int64_t channels) {
  const int parts = PartsOf(positions, channels);
  std::vector<Sums> sums(parts, Sums(channels));
  OverPositions(positions, parts, [&](int part, int64_t begin, int64_t end) {
    Sums& own = sums[part];
    for (int64_t p = begin; p < end; p += kChunk) {
      own.Begin();
      AddMoments(x + p * channels, shift, std::min(kChunk, end - p), channels,
                 own.chunk_first.data(), own.chunk_second.data());
      own.End();
    }
  });
  return Total(sums, channels);
}

// The number of positions in a map: the product of all dimensions except the last.
int64_t PositionsOf(const std::vector<int64_t>& shape) {
  int64_t positions = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) positions *= shape[i];
  return positions;
}

// Outputs with one number per channel, from output 1 on. False on an error.
bool ChannelOutputs(Call* call, int count, int64_t channels, float** outputs) {
  for (int i = 0; i < count; ++i) {
    outputs[i] = call->Output(i + 1, {channels});
    if (outputs[i] == nullptr) return false;
  }
  return true;
}

// Inputs 0 to 6 of a forward pass: x, shortcut (of x's shape, or empty), scale, offset, running mean, running
// variance, numbers (epsilon, momentum, activation).
struct ForwardInputs {
  std::vector<int64_t> shape;
  int64_t channels, positions;
  const float *x, *shortcut, *vectors[4], *numbers;

  // Otherwise the call has its error.
  bool Read(Call* call) {
    x = call->Input(0, &shape);
    if (x == nullptr || !call->Require(shape.size() > 1, "x: no map")) return false;
    channels = shape.back();
    positions = PositionsOf(shape);
    return call->InputOf(1, shape, "shortcut: another shape than x", &shortcut, true) &&
           call->Vectors(2, 4, channels, vectors) &&
           call->InputOf(6, {3}, "numbers: not three", &numbers);
  }
};

// The first inputs of a backward pass: dy, x, y (or empty, see Passing), scale, mean, 1 / deviation, what the forward
// pass added to x * scale / deviation, numbers (activation first).
class GradientInputs {
 public:
  std::vector<int64_t> shape;
  int64_t channels, positions;
  const float *dy, *x, *scale, *mean, *inverse, *numbers;

  // Otherwise the call has its error.
  bool Read(Call* call, int64_t amount, const char* wrong_amount) {
    dy = call->Input(0, &shape);
    if (dy == nullptr || !call->Require(shape.size() > 1, "dy: no map")) return false;
    channels = shape.back();
    positions = PositionsOf(shape);
    const float* vectors[4];
    if (!call->InputOf(1, shape, "x: another shape than dy", &x) ||
        !call->InputOf(2, shape, "y: another shape than dy", &y_, true) || !call->Vectors(3, 4, channels, vectors) ||
        !call->InputOf(7, {amount}, wrong_amount, &numbers)) {
      return false;
    }
    scale = vectors[0], mean = vectors[1], inverse = vectors[2], offset_ = vectors[3];
    for (int64_t c = 0; c < channels; ++c) factor_.push_back(scale[c] * inverse[c]);
    return true;
  }

  // Valid as long as this object.
  Passing passing() const {
    const ActivationRange range(static_cast<Activation>(static_cast<int>(numbers[0])));
    return {y_, factor_.data(), offset_, range};
  }

 private:
  const float *y_, *offset_;
  std::vector<float> factor_;
};

// The mean and the biased variance of each channel over `positions` positions.
struct Statistics {
  std::vector<double> mean, variance;
  int64_t positions;
};

// y = activation(x * scale / deviation + offset [+ shortcut]); shortcut may be null.
inline void NormaliseMap(const float* x, const float* shortcut, const float* scale, const float* inverse,
                         const float* offset, float activation, int64_t positions, int64_t channels, float* y) {
  std::vector<float> factor(channels);
  for (int64_t c = 0; c < channels; ++c) factor[c] = scale[c] * inverse[c];
  const ActivationRange range(static_cast<Activation>(static_cast<int>(activation)));
  const Epilogue how{factor.data(), offset, shortcut, range};
  OverPositions(positions, PartsOf(positions, channels), [&](int, int64_t begin, int64_t end) {
    NormaliseRows(x, how, begin, end, channels, y);
  });
}

// Outputs: y, mean, 1 / deviation, new running mean and variance, what is added to x * scale / deviation.
inline void NormaliseWith(Call* call, const Statistics& of, const ForwardInputs& in) {
  const int64_t channels = in.channels, positions = in.positions;
  const float* const* const vectors = in.vectors;
  const float* const numbers = in.numbers;
  float *const y = call->Output(0, in.shape), *outputs[5];
  if (y == nullptr || !ChannelOutputs(call, 5, channels, outputs)) return;
  const double momentum = numbers[1];
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = of.mean[c], variance = of.variance[c];
    outputs[0][c] = static_cast<float>(mean);
    outputs[1][c] = static_cast<float>(1.0 / std::sqrt(variance + numbers[0]));
    outputs[2][c] = static_cast<float>((1 - momentum) * vectors[2][c] + momentum * mean);
    outputs[3][c] = static_cast<float>((1 - momentum) * vectors[3][c] +
                                       momentum * variance * of.positions / (of.positions - 1));
    // Of the mean before it is rounded: where the deviation is small, its last bits are seen.
    outputs[4][c] = static_cast<float>(vectors[1][c] - mean * (vectors[0][c] * outputs[1][c]));
  }
  NormaliseMap(in.x, in.shortcut, vectors[0], outputs[1], outputs[4], numbers[2], positions, channels, y);
}

// The sums of dz and of dz * (x - mean). dz may be null.
inline Sums GradientSums(const GradientInputs& of, float* dz) {
  const int64_t channels = of.channels, positions = of.positions;
  const Passing passing = of.passing();
  const int parts = PartsOf(positions, channels);
  std::vector<Sums> sums(parts, Sums(channels));
  OverPositions(positions, parts, [&](int part, int64_t begin, int64_t end) {
    Sums& own = sums[part];
    for (int64_t p = begin; p < end; p += kChunk) {
      const int64_t at = p * channels;
      own.Begin();
      AddGradients(of.dy + at, of.x + at, passing.From(at), of.mean, std::min(kChunk, end - p), channels,
                   dz == nullptr ? nullptr : dz + at, own.chunk_first.data(), own.chunk_second.data());
      own.End();
    }
  });
  return Total(sums, channels);
}

// dx, given the sums of GradientSums over all positions of which mean and 1 / deviation were taken.
inline void GradientOfInput(const GradientInputs& of, const Sums& total, int64_t total_positions,
                            float* dx) {
  const int64_t channels = of.channels, positions = of.positions;
  const Passing passing = of.passing();
  std::vector<float> a(channels), b(channels), d(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = of.mean[c], inverse = of.inverse[c];
    const double normalised = total.second[c] * inverse;  // sum of dz * normalised x
    const double factor = of.scale[c] * inverse;
    const double slope = -factor * normalised * inverse / total_positions;
    a[c] = static_cast<float>(factor);
    b[c] = static_cast<float>(slope);
    d[c] = static_cast<float>(-factor * total.first[c] / total_positions - slope * mean);
  }
  OverPositions(positions, PartsOf(positions, channels), [&](int, int64_t begin, int64_t end) {
    const int64_t at = begin * channels;
    InputGradient(of.dy + at, of.x + at, passing.From(at), a.data(), b.data(), d.data(), end - begin, channels,
                  dx + at);
  });
}

}  // namespace
}  // namespace cirkd

#endif  // CIRKD_NATIVE_BATCH_NORM_H_
