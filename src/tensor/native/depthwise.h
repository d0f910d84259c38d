// The loops of depthwise convolutions, for each level of vector instructions.
//
// N images, H W positions of x, C channels, h w positions of y, R S taps.
#ifndef CIRKD_NATIVE_DEPTHWISE_H_
#define CIRKD_NATIVE_DEPTHWISE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "activation.h"
#include "level.h"
#include "operands.h"

namespace cirkd {

// A tap and the index along one axis that it is applied to.
struct Meeting {
  int64_t tap, index;
};
using Axis = std::vector<std::vector<Meeting>>;

// The taps and input indices for each output index: index * stride + tap * dilation - padding, inside
// an input of `length`.
inline Axis ForwardAxis(int64_t outputs, int64_t length, int64_t taps, const Geometry& geometry) {
  Axis axis(outputs);
  for (int64_t i = 0; i < outputs; ++i) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t at = i * geometry.stride + tap * geometry.dilation - geometry.padding;
      if (at >= 0 && at < length) axis[i].push_back({tap, at});
    }
  }
  return axis;
}

// The same pairs, grouped by input index.
inline Axis Reversed(const Axis& forward, int64_t length) {
  Axis axis(length);
  for (size_t i = 0; i < forward.size(); ++i) {
    for (const Meeting& meeting : forward[i]) {
      axis[meeting.index].push_back({meeting.tap, static_cast<int64_t>(i)});
    }
  }
  return axis;
}

// Target indices along an axis with the same taps: `count` of them from `first` on, `period` apart; the next one's
// source indices are `step` higher.
struct Run {
  int64_t first, count;
};
struct Runs {
  std::vector<Run> list;
  int64_t period, step;
};

constexpr int64_t kMostInRun = 4;

// period and step: 1 and the stride where a convolution gathers its input; the other way round for its gradient.
inline Runs RunsOf(const Axis& axis, int64_t period, int64_t step) {
  const int64_t length = static_cast<int64_t>(axis.size());
  const auto follows = [&](int64_t index) {
    if (index >= length || axis[index].size() != axis[index - period].size()) return false;
    for (size_t i = 0; i < axis[index].size(); ++i) {
      const Meeting &here = axis[index][i], &before = axis[index - period][i];
      if (here.tap != before.tap || here.index != before.index + step) return false;
    }
    return true;
  };
  Runs runs{{}, period, step};
  for (int64_t phase = 0; phase < std::min(period, length); ++phase) {
    for (int64_t at = phase; at < length;) {
      Run run{at, 1};
      while (run.count < kMostInRun && follows(at + run.count * period)) run.count += 1;
      runs.list.push_back(run);
      at += run.count * period;
    }
  }
  // Neighbours share their sources.
  std::sort(runs.list.begin(), runs.list.end(), [](const Run& one, const Run& other) { return one.first < other.first; });
  return runs;
}

struct Taps {
  std::vector<const float*> source, weights;
  int64_t source_step, target_step;  // between the positions of a run
};

// Channels from `c` on in whole groups of `kVectors` vectors, for kCount positions: to[c] = sum over taps of
// source[tap][c] * weights[tap][c]. Returns the first channel that is left.
template <typename L, int kCount, int kVectors>
CIRKD_INLINE int64_t GatherChannels(const Taps& taps, int64_t c, int64_t channels, float* to) {
  typedef typename L::Vector Vector;
  const float* const* const source = taps.source.data();
  const float* const* const weights = taps.weights.data();
  const size_t count = taps.source.size();
  for (; c + kVectors * L::kWidth <= channels; c += kVectors * L::kWidth) {
    Vector sum[kCount][kVectors] = {};
    for (size_t i = 0; i < count; ++i) {
      for (int v = 0; v < kVectors; ++v) {
        const Vector weight = *reinterpret_cast<const Vector*>(weights[i] + c + v * L::kWidth);
        for (int p = 0; p < kCount; ++p) {
          sum[p][v] +=
              *reinterpret_cast<const Vector*>(source[i] + p * taps.source_step + c + v * L::kWidth) * weight;
        }
      }
    }
    for (int p = 0; p < kCount; ++p) {
      for (int v = 0; v < kVectors; ++v) {
        *reinterpret_cast<Vector*>(to + p * taps.target_step + c + v * L::kWidth) = sum[p][v];
      }
    }
  }
  return c;
}

// kCount positions of a run.
template <typename L, int kCount>
CIRKD_INLINE void GatherPositions(const Taps& taps, int64_t channels, float* to) {
  int64_t c = GatherChannels<L, kCount, 2>(taps, 0, channels, to);
  c = GatherChannels<L, kCount, 1>(taps, c, channels, to);
  for (; c < channels; ++c) {
    for (int p = 0; p < kCount; ++p) {
      float sum = 0.0f;
      for (size_t i = 0; i < taps.source.size(); ++i) {
        sum += taps.source[i][p * taps.source_step + c] * taps.weights[i][c];
      }
      to[p * taps.target_step + c] = sum;
    }
  }
}

struct Maps {
  int64_t channels, tap_columns;
  const Axis& rows;
  const Axis& columns;
  int64_t source_height, source_width;
};

// Target rows [begin, end) of all images, gathered from the source. The epilogue may be null.
template <typename L>
CIRKD_INLINE void GatherRows(const Maps& maps, const Runs& runs, const float* source, const float* weights,
                             int64_t begin, int64_t end, const Epilogue* epilogue, float* target) {
  const int64_t height = maps.rows.size(), width = maps.columns.size(), channels = maps.channels;
  Taps taps;
  taps.source_step = runs.step * channels;
  taps.target_step = runs.period * channels;
  for (int64_t row = begin; row < end; ++row) {
    const float* const image =
        source + row / height * maps.source_height * maps.source_width * channels;
    for (const Run& run : runs.list) {
      taps.source.clear();
      taps.weights.clear();
      for (const Meeting& y : maps.rows[row % height]) {
        for (const Meeting& x : maps.columns[run.first]) {
          taps.source.push_back(image + (y.index * maps.source_width + x.index) * channels);
          taps.weights.push_back(weights + (y.tap * maps.tap_columns + x.tap) * channels);
        }
      }
      float* const to = target + (row * width + run.first) * channels;
      if (run.count == kMostInRun) {
        GatherPositions<L, kMostInRun>(taps, channels, to);
        continue;
      }
      for (int64_t p = 0; p < run.count; ++p) {
        GatherPositions<L, 1>(taps, channels, to + p * taps.target_step);
        for (const float*& from : taps.source) from += taps.source_step;
      }
    }
    if (epilogue != nullptr) Finish(*epilogue, channels, row * width, width, target);
  }
}

// Adds the sums over positions of x * dy, for kTaps taps, to dw, for channels from `c` on in whole groups of `kVectors`
// vectors. `step` is the distance between x's positions, `tap_step` that between the taps'. Returns the first channel that
// is left.
template <typename L, int kTaps, int kVectors>
CIRKD_INLINE int64_t AddRow(const float* x, const float* dy, int64_t positions, int64_t step, int64_t tap_step,
                            int64_t c, int64_t channels, float* dw) {
  typedef typename L::Vector Vector;
  for (; c + kVectors * L::kWidth <= channels; c += kVectors * L::kWidth) {
    Vector sum[kTaps][kVectors] = {};
    const float *x_at = x + c, *dy_at = dy + c;
    for (int64_t p = 0; p < positions; ++p, x_at += step, dy_at += channels) {
      for (int v = 0; v < kVectors; ++v) {
        const Vector gradient = *reinterpret_cast<const Vector*>(dy_at + v * L::kWidth);
        for (int tap = 0; tap < kTaps; ++tap) {
          sum[tap][v] += *reinterpret_cast<const Vector*>(x_at + tap * tap_step + v * L::kWidth) * gradient;
        }
      }
    }
    for (int tap = 0; tap < kTaps; ++tap) {
      for (int v = 0; v < kVectors; ++v) {
        *reinterpret_cast<Vector*>(dw + tap * channels + c + v * L::kWidth) += sum[tap][v];
      }
    }
  }
  return c;
}

// The same for all channels.
template <typename L, int kTaps>
CIRKD_INLINE void AddWholeRow(const float* x, const float* dy, int64_t positions, int64_t step, int64_t tap_step,
                              int64_t channels, float* dw) {
  int64_t c = AddRow<L, kTaps, 4>(x, dy, positions, step, tap_step, 0, channels, dw);
  c = AddRow<L, kTaps, 1>(x, dy, positions, step, tap_step, c, channels, dw);
  for (; c < channels; ++c) {
    for (int tap = 0; tap < kTaps; ++tap) {
      for (int64_t p = 0; p < positions; ++p) {
        dw[tap * channels + c] += x[p * step + tap * tap_step + c] * dy[p * channels + c];
      }
    }
  }
}

// The output columns that use a tap: `count` adjacent ones from `first`, which uses input column `at`.
struct TapColumns {
  int64_t first = 0, count = 0, at = 0;
};

inline std::vector<TapColumns> ColumnsOfTaps(const Axis& columns, int64_t taps) {
  std::vector<TapColumns> runs(taps);
  for (size_t column = 0; column < columns.size(); ++column) {
    for (const Meeting& meeting : columns[column]) {
      TapColumns& run = runs[meeting.tap];
      if (run.count == 0) run.first = column, run.at = meeting.index;
      run.count += 1;
    }
  }
  return runs;
}

// The columns that all of three taps have; none if there are other taps.
inline TapColumns ShareOfThree(const std::vector<TapColumns>& runs) {
  if (runs.size() != 3) return {};
  TapColumns shared = runs[0];
  int64_t last = shared.first + shared.count;
  for (const TapColumns& run : runs) {
    shared.first = std::max(shared.first, run.first);
    last = std::min(last, run.first + run.count);
  }
  shared.count = std::max<int64_t>(0, last - shared.first);
  return shared;
}

// Adds the contribution of dy's rows [begin, end), counted over all images, to the weights' gradient.
template <typename L>
CIRKD_INLINE void FilterGradientRows(const Maps& maps, const Geometry& geometry, const float* x,
                                     const float* dy, int64_t begin, int64_t end, float* dw) {
  const int64_t height = maps.rows.size(), width = maps.columns.size(), channels = maps.channels;
  const int64_t step = geometry.stride * channels, tap_step = geometry.dilation * channels;
  const std::vector<TapColumns> runs = ColumnsOfTaps(maps.columns, maps.tap_columns);
  const TapColumns shared = ShareOfThree(runs);
  for (int64_t row = begin; row < end; ++row) {
    const float* const image = x + row / height * maps.source_height * maps.source_width * channels;
    const float* const dy_row = dy + row * width * channels;
    for (const Meeting& y : maps.rows[row % height]) {
      const float* const x_row = image + y.index * maps.source_width * channels;
      float* const to = dw + y.tap * maps.tap_columns * channels;
      // The first tap's column of x.
      const auto x_of = [&](int64_t column) {
        return x_row + (column * geometry.stride - geometry.padding) * channels;
      };
      if (shared.count > 0) {
        AddWholeRow<L, 3>(x_of(shared.first), dy_row + shared.first * channels, shared.count, step, tap_step,
                          channels, to);
      }
      for (int64_t tap = 0; tap < maps.tap_columns; ++tap) {
        // Its columns before and behind those.
        const int64_t first = runs[tap].first, last = first + runs[tap].count;
        const int64_t middle = shared.count > 0 ? shared.first : last;
        const int64_t ranges[2][2] = {{first, middle}, {middle + shared.count, last}};
        for (const auto& range : ranges) {
          if (range[0] >= range[1]) continue;
          AddWholeRow<L, 1>(x_of(range[0]) + tap * tap_step, dy_row + range[0] * channels, range[1] - range[0], step,
                            tap_step, channels, to + tap * channels);
        }
      }
    }
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_DEPTHWISE_H_
