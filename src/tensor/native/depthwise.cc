// CirkdDepthwise, CirkdDepthwiseInputGrad and CirkdDepthwiseFilterGrad: one filter a channel, any stride
// and dilation. ../ops/depthwise.ts says what they take.
//
// N images, H W positions of x, C channels, h w positions of y, R S taps. Part of the addon, registered
// through TensorFlow's C API when that is loaded; CPU, float32.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernelCall.h"
#include "level.h"
#include "threadPool.h"
#include "vectorMath.h"

namespace cirkd {
namespace {

// A tap and the index that it meets along one axis.
struct Meeting {
  int64_t tap, index;
};
using Axis = std::vector<std::vector<Meeting>>;

// What each output index meets in an input of `length`: index * stride + tap * dilation - padding.
Axis ForwardAxis(int64_t outputs, int64_t length, int64_t taps, const int32_t* geometry) {
  Axis axis(outputs);
  for (int64_t i = 0; i < outputs; ++i) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t at = i * geometry[0] + tap * geometry[1] - geometry[2];
      if (at >= 0 && at < length) axis[i].push_back({tap, at});
    }
  }
  return axis;
}

// The same pairs by the input's index.
Axis Reversed(const Axis& forward, int64_t length) {
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

// Target rows [begin, end) of all images, gathered from the source.
template <typename L>
CIRKD_INLINE void GatherRows(const Maps& maps, const float* source, const float* weights,
                                 int64_t begin, int64_t end, float* target) {
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
  }
}

// Adds to dw[c], for each channel from `c` on of which `kVectors` vectors are there, the sum over
// positions of x * dy; x's positions lie `step` apart. Returns the first channel that is left.
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

// Adds what the rows [begin, end) of dy, of all images, give of the weights' gradient.
template <typename L>
CIRKD_INLINE void FilterGradientRows(const Maps& maps, int64_t stride, const float* x,
                                         const float* dy, int64_t begin, int64_t end, float* dw) {
  const int64_t height = maps.rows.size(), width = maps.columns.size(), channels = maps.channels;
  for (int64_t row = begin; row < end; ++row) {
    const float* const image = x + row / height * maps.source_height * maps.source_width * channels;
    for (const Meeting& y : maps.rows[row % height]) {
      for (int64_t tap = 0; tap < maps.tap_columns; ++tap) {
        // The columns that meet this tap are neighbours.
        int64_t first = -1, count = 0, at = 0;
        for (int64_t column = 0; column < width; ++column) {
          for (const Meeting& meeting : maps.columns[column]) {
            if (meeting.tap != tap) continue;
            if (first < 0) first = column, at = meeting.index;
            count += 1;
          }
        }
        if (first < 0) continue;
        const float* const x_at = image + (y.index * maps.source_width + at) * channels;
        const float* const dy_at = dy + (row * width + first) * channels;
        float* const to = dw + (y.tap * maps.tap_columns + tap) * channels;
        const int64_t step = stride * channels;
        int64_t c = AddRow<L, 4>(x_at, dy_at, count, step, 0, channels, to);
        c = AddRow<L, 1>(x_at, dy_at, count, step, c, channels, to);
        for (; c < channels; ++c) {
          for (int64_t p = 0; p < count; ++p) to[c] += x_at[p * step + c] * dy_at[p * channels + c];
        }
      }
    }
  }
}

// The functions of one level.
struct Kernels {
  void (*gather)(const Maps&, const float*, const float*, int64_t, int64_t, float*);
  void (*filter)(const Maps&, int64_t, const float*, const float*, int64_t, int64_t, float*);
};

CIRKD_WIDE void GatherWide(const Maps& maps, const float* source, const float* weights,
                           int64_t begin, int64_t end, float* target) {
  GatherRows<Wide>(maps, source, weights, begin, end, target);
}
CIRKD_WIDE void FilterWide(const Maps& maps, int64_t stride, const float* x, const float* dy,
                           int64_t begin, int64_t end, float* dw) {
  FilterGradientRows<Wide>(maps, stride, x, dy, begin, end, dw);
}
CIRKD_MEDIUM void GatherMedium(const Maps& maps, const float* source, const float* weights,
                               int64_t begin, int64_t end, float* target) {
  GatherRows<Medium>(maps, source, weights, begin, end, target);
}
CIRKD_MEDIUM void FilterMedium(const Maps& maps, int64_t stride, const float* x, const float* dy,
                               int64_t begin, int64_t end, float* dw) {
  FilterGradientRows<Medium>(maps, stride, x, dy, begin, end, dw);
}
void GatherNarrow(const Maps& maps, const float* source, const float* weights, int64_t begin,
                  int64_t end, float* target) {
  GatherRows<Narrow>(maps, source, weights, begin, end, target);
}
void FilterNarrow(const Maps& maps, int64_t stride, const float* x, const float* dy, int64_t begin,
                  int64_t end, float* dw) {
  FilterGradientRows<Narrow>(maps, stride, x, dy, begin, end, dw);
}

const Kernels& Best() {
  static const Kernels wide{GatherWide, FilterWide}, medium{GatherMedium, FilterMedium},
      narrow{GatherNarrow, FilterNarrow};
  static const Kernels& best = ForProcessor(wide, medium, narrow);
  return best;
}

using Shape = std::vector<int64_t>;

int64_t OutputLength(int64_t length, int64_t taps, const int32_t* geometry) {
  const int64_t room = length + 2 * geometry[2] - geometry[1] * (taps - 1) - 1;
  return room < 0 ? 0 : room / geometry[0] + 1;
}

// Two maps, or a map and weights [R, S, C, 1], and stride, dilation, padding and two sizes.
struct Operands {
  const float *first, *second;
  Shape first_shape, second_shape;
  const int32_t* geometry;

  bool Read(Call* call) {
    Shape shape;
    first = call->Input(0, &first_shape);
    second = first == nullptr ? nullptr : call->Input(1, &second_shape);
    geometry = second == nullptr ? nullptr : call->Input<int32_t>(2, &shape);
    return geometry != nullptr &&
           call->Require(first_shape.size() == 4 && second_shape.size() == 4,
                         "inputs: not four-dimensional") &&
           call->Require(shape == Shape{5} && geometry[0] > 0 && geometry[1] > 0 && geometry[2] >= 0,
                         "geometry: not stride, dilation, padding and two sizes");
  }
};

void RunGather(const Maps& maps, int64_t images, const float* source, const float* weights,
               float* target) {
  const int64_t rows = images * maps.rows.size();
  const int64_t elements = rows * maps.columns.size() * maps.channels;
  const int parts = PartsFor(rows, elements);
  Pool::Get().Run(parts, [&](int part) {
    Best().gather(maps, source, weights, rows * part / parts, rows * (part + 1) / parts, target);
  });
}

void ComputeForward(void*, TF_OpKernelContext* context) {
  Call call(context);
  Operands operands;
  if (!operands.Read(&call)) return;
  const Shape &x = operands.first_shape, &w = operands.second_shape;
  const Shape y_shape{x[0], OutputLength(x[1], w[0], operands.geometry),
                      OutputLength(x[2], w[1], operands.geometry), x[3]};
  if (!call.Require(w[2] == x[3] && w[3] == 1, "weights: not one filter for each channel of x") ||
      !call.Require(y_shape[1] > 0 && y_shape[2] > 0, "x: smaller than the kernel")) {
    return;
  }
  float* const y = call.Output(0, y_shape);
  if (y == nullptr) return;
  const Axis rows = ForwardAxis(y_shape[1], x[1], w[0], operands.geometry);
  const Axis columns = ForwardAxis(y_shape[2], x[2], w[1], operands.geometry);
  RunGather({x[3], w[1], rows, columns, x[1], x[2]}, x[0], operands.first, operands.second, y);
}

void ComputeInputGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  Operands operands;
  if (!operands.Read(&call)) return;
  const Shape &dy = operands.first_shape, &w = operands.second_shape;
  const int64_t height = operands.geometry[3], width = operands.geometry[4];
  const Shape wanted{dy[0], OutputLength(height, w[0], operands.geometry),
                     OutputLength(width, w[1], operands.geometry), w[2]};
  if (!call.Require(dy == wanted && w[3] == 1, "dy: not of the output's shape")) return;
  float* const dx = call.Output(0, {dy[0], height, width, dy[3]});
  if (dx == nullptr) return;
  const Axis rows = Reversed(ForwardAxis(dy[1], height, w[0], operands.geometry), height);
  const Axis columns = Reversed(ForwardAxis(dy[2], width, w[1], operands.geometry), width);
  RunGather({dy[3], w[1], rows, columns, dy[1], dy[2]}, dy[0], operands.first, operands.second, dx);
}

void ComputeFilterGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  Operands operands;
  if (!operands.Read(&call)) return;
  const Shape &x = operands.first_shape, &dy = operands.second_shape;
  const int64_t tap_rows = operands.geometry[3], tap_columns = operands.geometry[4];
  const Shape wanted{x[0], OutputLength(x[1], tap_rows, operands.geometry),
                     OutputLength(x[2], tap_columns, operands.geometry), x[3]};
  if (!call.Require(dy == wanted, "dy: not of the output's shape")) return;
  const int64_t channels = x[3], size = tap_rows * tap_columns * channels;
  float* const dw = call.Output(0, {tap_rows, tap_columns, channels, 1});
  if (dw == nullptr) return;
  const Axis rows = ForwardAxis(dy[1], x[1], tap_rows, operands.geometry);
  const Axis columns = ForwardAxis(dy[2], x[2], tap_columns, operands.geometry);
  const Maps maps{channels, tap_columns, rows, columns, x[1], x[2]};
  const int64_t total = dy[0] * dy[1];
  const int parts = PartsFor(total, total * dy[2] * channels);
  std::vector<std::vector<float>> sums(parts, std::vector<float>(size, 0.0f));
  Pool::Get().Run(parts, [&](int part) {
    Best().filter(maps, operands.geometry[0], operands.first, operands.second,
                       total * part / parts, total * (part + 1) / parts, sums[part].data());
  });
  std::copy(sums[0].begin(), sums[0].end(), dw);
  for (int part = 1; part < parts; ++part) {
    for (int64_t i = 0; i < size; ++i) dw[i] += sums[part][i];
  }
}

const bool registered = [] {
  Register("CirkdDepthwise", {"x: float", "weights: float", "geometry: int32"}, {"y: float"},
           ComputeForward);
  Register("CirkdDepthwiseInputGrad", {"dy: float", "weights: float", "geometry: int32"},
           {"dx: float"}, ComputeInputGradient);
  Register("CirkdDepthwiseFilterGrad", {"x: float", "dy: float", "geometry: int32"}, {"dw: float"},
           ComputeFilterGradient);
  return true;
}();

}  // namespace
}  // namespace cirkd
