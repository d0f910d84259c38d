// Passes over the map of a batch norm in training: sums per channel, the normalised map, and the gradients.
//
// P positions, C channels; CPU, float32.
#ifndef CIRKD_NATIVE_BATCH_NORM_H_
#define CIRKD_NATIVE_BATCH_NORM_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "activation.h"
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

// dz = dy where y is inside the activation's range; sums of dz and of dz * (x - mean). dz may be null.
CIRKD_VECTORISED void AddGradients(const float* dy, const float* x, const float* y,
                                   const float* mean, ActivationRange range, int64_t positions,
                                   int64_t channels, float* dz, float* first, float* second) {
  for (int64_t p = 0; p < positions; ++p, dy += channels, x += channels, y += channels) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float g = Gate(dy[c], y[c], range);
      first[c] += g;
      second[c] += g * (x[c] - mean[c]);
    }
    if (dz == nullptr) continue;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) dz[c] = Gate(dy[c], y[c], range);
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
      const float g = Gate(dy[c], y[c], range);
      dx[c] = a[c] * g + (b[c] * x[c] + d[c]);
    }
    dy += channels, x += channels, y += channels, dx += channels;
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

// The first inputs of a backward pass: dy, x, y, `count` vectors, numbers (activation first).
struct GradientInputs {
  std::vector<int64_t> shape;
  int64_t channels, positions;
  const float *dy, *x, *y, *vectors[3], *numbers;

  // Otherwise the call has its error.
  bool Read(Call* call, int count, int64_t amount, const char* wrong_amount) {
    dy = call->Input(0, &shape);
    if (dy == nullptr || !call->Require(shape.size() > 1, "dy: no map")) return false;
    channels = shape.back();
    positions = PositionsOf(shape);
    return call->InputOf(1, shape, "x: another shape than dy", &x) &&
           call->InputOf(2, shape, "y: another shape than dy", &y) &&
           call->Vectors(3, count, channels, vectors) &&
           call->InputOf(3 + count, {amount}, wrong_amount, &numbers);
  }

  ActivationRange range() const {
    return ActivationRange(static_cast<Activation>(static_cast<int>(numbers[0])));
  }
};

// The mean and the biased variance of each channel over `positions` positions.
struct Statistics {
  std::vector<double> mean, variance;
  int64_t positions;
};

// Normalisation as a factor and an offset for each channel. Made of the mean and 1 / deviation as they are kept for the
// backward pass, so that the map can be computed again from those, bit for bit.
struct Affine {
  std::vector<float> factor, offset;

  Affine(const float* scale, const float* shift, const float* mean, const float* inverse, int64_t channels)
      : factor(channels), offset(channels) {
    for (int64_t c = 0; c < channels; ++c) {
      factor[c] = scale[c] * inverse[c];
      offset[c] = static_cast<float>(shift[c] - static_cast<double>(mean[c]) * factor[c]);
    }
  }
};

// y = activation(normalised x [+ shortcut]); shortcut may be null.
inline void NormaliseMap(const float* x, const float* shortcut, const Affine& affine, float activation,
                         int64_t positions, int64_t channels, float* y) {
  const ActivationRange range(static_cast<Activation>(static_cast<int>(activation)));
  const Epilogue how{affine.factor.data(), affine.offset.data(), shortcut, range};
  OverPositions(positions, PartsOf(positions, channels), [&](int, int64_t begin, int64_t end) {
    NormaliseRows(x, how, begin, end, channels, y);
  });
}

// Outputs: y, mean, 1 / deviation, new running mean and variance.
inline void NormaliseWith(Call* call, const Statistics& of, const ForwardInputs& in) {
  const int64_t channels = in.channels, positions = in.positions;
  const float* const* const vectors = in.vectors;
  const float* const numbers = in.numbers;
  float *const y = call->Output(0, in.shape), *outputs[4];
  if (y == nullptr || !ChannelOutputs(call, 4, channels, outputs)) return;
  const double momentum = numbers[1];
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = of.mean[c], variance = of.variance[c];
    outputs[0][c] = static_cast<float>(mean);
    outputs[1][c] = static_cast<float>(1.0 / std::sqrt(variance + numbers[0]));
    outputs[2][c] = static_cast<float>((1 - momentum) * vectors[2][c] + momentum * mean);
    outputs[3][c] = static_cast<float>((1 - momentum) * vectors[3][c] +
                                       momentum * variance * of.positions / (of.positions - 1));
  }
  const Affine affine(vectors[0], vectors[1], outputs[0], outputs[1], channels);
  NormaliseMap(in.x, in.shortcut, affine, numbers[2], positions, channels, y);
}

// The sums of dz and of dz * (x - mean). dz may be null.
inline Sums GradientSums(const GradientInputs& of, const float* mean, float* dz) {
  const int64_t channels = of.channels, positions = of.positions;
  const ActivationRange range = of.range();
  const int parts = PartsOf(positions, channels);
  std::vector<Sums> sums(parts, Sums(channels));
  OverPositions(positions, parts, [&](int part, int64_t begin, int64_t end) {
    Sums& own = sums[part];
    for (int64_t p = begin; p < end; p += kChunk) {
      const int64_t at = p * channels;
      own.Begin();
      AddGradients(of.dy + at, of.x + at, of.y + at, mean, range, std::min(kChunk, end - p), channels,
                   dz == nullptr ? nullptr : dz + at, own.chunk_first.data(),
                   own.chunk_second.data());
      own.End();
    }
  });
  return Total(sums, channels);
}

// dx, given the sums of GradientSums over all positions of which mean and 1 / deviation were taken. The inputs'
// vectors are scale, mean and 1 / deviation.
inline void GradientOfInput(const GradientInputs& of, const Sums& total, int64_t total_positions,
                            float* dx) {
  const int64_t channels = of.channels, positions = of.positions;
  const float *const scale = of.vectors[0], *const mean_C = of.vectors[1], *const inverse_C = of.vectors[2];
  const ActivationRange range = of.range();
  std::vector<float> a(channels), b(channels), d(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = mean_C[c], inverse = inverse_C[c];
    const double normalised = total.second[c] * inverse;  // sum of dz * normalised x
    const double factor = scale[c] * inverse;
    const double slope = -factor * normalised * inverse / total_positions;
    a[c] = static_cast<float>(factor);
    b[c] = static_cast<float>(slope);
    d[c] = static_cast<float>(-factor * total.first[c] / total_positions - slope * mean);
  }
  OverPositions(positions, PartsOf(positions, channels), [&](int, int64_t begin, int64_t end) {
    const int64_t at = begin * channels;
    InputGradient(of.dy + at, of.x + at, of.y + at, a.data(), b.data(), d.data(), range,
                  end - begin, channels, dx + at);
  });
}

}  // namespace
}  // namespace cirkd

#endif  // CIRKD_NATIVE_BATCH_NORM_H_
