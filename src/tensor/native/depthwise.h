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

struct Taps {
  std::vector<const float*> source, weights;
};

// to[c] = sum over taps of source[tap][c] * weights[tap][c]
template <typename L>
CIRKD_INLINE void Position(const Taps& taps, int64_t channels, float* to) {
  typedef typename L::Vector Vector;
  constexpr int kVectors = 4;
  const float* const* const source = taps.source.data();
  const float* const* const weights = taps.weights.data();
  const size_t count = taps.source.size();
  int64_t c = 0;
  for (; c + kVectors * L::kWidth <= channels; c += kVectors * L::kWidth) {
    Vector sum[kVectors] = {};
    for (size_t i = 0; i < count; ++i) {
      for (int v = 0; v < kVectors; ++v) {
        sum[v] += *reinterpret_cast<const Vector*>(source[i] + c + v * L::kWidth) *
                  *reinterpret_cast<const Vector*>(weights[i] + c + v * L::kWidth);
      }
    }
    for (int v = 0; v < kVectors; ++v) *reinterpret_cast<Vector*>(to + c + v * L::kWidth) = sum[v];
  }
  for (; c + L::kWidth <= channels; c += L::kWidth) {
    Vector sum = {};
    for (size_t i = 0; i < count; ++i) {
      sum += *reinterpret_cast<const Vector*>(source[i] + c) *
             *reinterpret_cast<const Vector*>(weights[i] + c);
    }
    *reinterpret_cast<Vector*>(to + c) = sum;
  }
  for (; c < channels; ++c) {
    float sum = 0.0f;
    for (size_t i = 0; i < count; ++i) sum += source[i][c] * weights[i][c];
    to[c] = sum;
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
CIRKD_INLINE void GatherRows(const Maps& maps, const float* source, const float* weights,
                                 int64_t begin, int64_t end, const Epilogue* epilogue,
                                 float* target) {
  const int64_t height = maps.rows.size(), width = maps.columns.size(), channels = maps.channels;
  Taps taps;
  for (int64_t row = begin; row < end; ++row) {
    const float* const image =
        source + row / height * maps.source_height * maps.source_width * channels;
    for (int64_t column = 0; column < width; ++column) {
      taps.source.clear();
      taps.weights.clear();
      for (const Meeting& y : maps.rows[row % height]) {
        for (const Meeting& x : maps.columns[column]) {
          taps.source.push_back(image + (y.index * maps.source_width + x.index) * channels);
          taps.weights.push_back(weights + (y.tap * maps.tap_columns + x.tap) * channels);
        }
      }
      Position<L>(taps, channels, target + (row * width + column) * channels);
    }
    if (epilogue != nullptr) Finish(*epilogue, channels, row * width, width, target);
  }
}

// Adds the sum over positions of x * dy to dw[c], for channels from `c` on in whole groups of `kVectors`
// vectors. `step` is the distance between x's positions. Returns the first channel that is left.
template <typename L, int kVectors>
CIRKD_INLINE int64_t AddRow(const float* x, const float* dy, int64_t positions, int64_t step,
                            int64_t c, int64_t channels, float* dw) {
  typedef typename L::Vector Vector;
  for (; c + kVectors * L::kWidth <= channels; c += kVectors * L::kWidth) {
    Vector sum[kVectors] = {};
    const float *x_at = x + c, *dy_at = dy + c;
    for (int64_t p = 0; p < positions; ++p, x_at += step, dy_at += channels) {
      for (int v = 0; v < kVectors; ++v) {
        sum[v] += *reinterpret_cast<const Vector*>(x_at + v * L::kWidth) *
                  *reinterpret_cast<const Vector*>(dy_at + v * L::kWidth);
      }
    }
    for (int v = 0; v < kVectors; ++v) *reinterpret_cast<Vector*>(dw + c + v * L::kWidth) += sum[v];
  }
  return c;
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

// Adds the contribution of dy's rows [begin, end), counted over all images, to the weights' gradient.
template <typename L>
CIRKD_INLINE void FilterGradientRows(const Maps& maps, int64_t stride, const float* x,
                                     const float* dy, int64_t begin, int64_t end, float* dw) {
  const int64_t height = maps.rows.size(), width = maps.columns.size(), channels = maps.channels;
  const int64_t step = stride * channels;
  const std::vector<TapColumns> runs = ColumnsOfTaps(maps.columns, maps.tap_columns);
  for (int64_t row = begin; row < end; ++row) {
    const float* const image = x + row / height * maps.source_height * maps.source_width * channels;
    for (const Meeting& y : maps.rows[row % height]) {
      for (int64_t tap = 0; tap < maps.tap_columns; ++tap) {
        const TapColumns& run = runs[tap];
        const float* const x_at = image + (y.index * maps.source_width + run.at) * channels;
        const float* const dy_at = dy + (row * width + run.first) * channels;
        float* const to = dw + (y.tap * maps.tap_columns + tap) * channels;
        int64_t c = AddRow<L, 4>(x_at, dy_at, run.count, step, 0, channels, to);
        c = AddRow<L, 1>(x_at, dy_at, run.count, step, c, channels, to);
        for (; c < channels; ++c) {
          for (int64_t p = 0; p < run.count; ++p) {
            to[c] += x_at[p * step + c] * dy_at[p * channels + c];
          }
        }
      }
    }
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_DEPTHWISE_H_
