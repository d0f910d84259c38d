// CirkdMaxPool and CirkdMaxPoolGrad: max pooling, channels last. Of each maximum one byte is kept, the tap of the window
// that it came from, so the gradient needs neither the input nor the output. ../kernels/maxPool.ts describes their inputs.
//
// N images, H W positions of x, C channels, h w positions of y; taps are numbered row by row. Part of the addon,
// registered through TensorFlow's C API when it is loaded; CPU, float32.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "level.h"
#include "operands.h"
#include "threadPool.h"

namespace cirkd {
namespace {

// For AVX-512, too, vectors of 8: GCC makes scalar code of selections in vectors of 16.
template <typename L>
using Lanes = std::conditional_t<(L::kWidth > Medium::kWidth), Medium, L>;

// Vectors of L's width: of int32, and of the bytes that are kept.
template <typename L>
struct Taps {
  typedef int32_t Numbers __attribute__((vector_size(L::kWidth * sizeof(int32_t))));
  typedef uint8_t Bytes __attribute__((vector_size(L::kWidth)));
};

// Positions [begin, end) along one axis.
struct Span {
  int64_t begin, end;
};

struct PooledMap {
  int64_t window, stride, padding;
  int64_t height, width, channels;
  int64_t rows, columns;  // of y

  // Those of x in window `i` of an axis of the given length.
  Span Covered(int64_t i, int64_t length) const {
    const int64_t begin = i * stride - padding;
    return {std::max<int64_t>(0, begin), std::min(length, begin + window)};
  }

  // The windows that position `i` of x lies in, of `count` along the axis.
  Span Covering(int64_t i, int64_t count) const {
    const int64_t past = i + padding - window;  // The last position of x + padding before the first window.
    const int64_t begin = past < 0 ? 0 : past / stride + 1;
    return {begin, std::min(count, (i + padding) / stride + 1)};
  }

  int64_t Tap(int64_t row, int64_t window_row, int64_t column, int64_t window_column) const {
    return (row + padding - window_row * stride) * window + column + padding - window_column * stride;
  }
};

// The maximum of one window; of equal ones the first, as in PyTorch. NaN is the largest, so that broken values are noticed.
template <typename L>
CIRKD_INLINE void PoolWindow(const PooledMap& map, const float* image, int64_t row, int64_t column,
                             float* y, uint8_t* taps) {
  typedef typename L::Vector Vector;
  typedef typename Taps<L>::Numbers Numbers;
  typedef typename Taps<L>::Bytes Bytes;
  const Span rows = map.Covered(row, map.height), columns = map.Covered(column, map.width);
  const int64_t channels = map.channels;
  int64_t c = 0;
  for (; c + L::kWidth <= channels; c += L::kWidth) {
    Vector best = *reinterpret_cast<const Vector*>(
        image + (rows.begin * map.width + columns.begin) * channels + c);
    Numbers from = Numbers{} + static_cast<int32_t>(map.Tap(rows.begin, row, columns.begin, column));
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      for (int64_t s = columns.begin; s < columns.end; ++s) {
        const Vector value =
            *reinterpret_cast<const Vector*>(image + (r * map.width + s) * channels + c);
        const Numbers tap = Numbers{} + static_cast<int32_t>(map.Tap(r, row, s, column));
        // A comparison for each selection: combined masks become scalar code.
        from = value > best ? tap : from;
        best = value > best ? value : best;
        from = value != value ? tap : from;
        best = value != value ? value : best;
      }
    }
    *reinterpret_cast<Vector*>(y + c) = best;
    const Bytes bytes = __builtin_convertvector(from, Bytes);
    std::memcpy(taps + c, &bytes, sizeof(bytes));
  }
  for (; c < channels; ++c) {
    float best = image[(rows.begin * map.width + columns.begin) * channels + c];
    int64_t from = map.Tap(rows.begin, row, columns.begin, column);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      for (int64_t s = columns.begin; s < columns.end; ++s) {
        const float value = image[(r * map.width + s) * channels + c];
        if (!(value > best) && value == value) continue;
        best = value;
        from = map.Tap(r, row, s, column);
      }
    }
    y[c] = best;
    taps[c] = static_cast<uint8_t>(from);
  }
}

// Rows [begin, end) of y, counted over all images.
template <typename L>
CIRKD_INLINE void PoolRows(const PooledMap& map, const float* x, int64_t begin, int64_t end, float* y,
                           uint8_t* taps) {
  for (int64_t row = begin; row < end; ++row) {
    const float* const image = x + row / map.rows * map.height * map.width * map.channels;
    for (int64_t column = 0; column < map.columns; ++column) {
      const int64_t at = (row * map.columns + column) * map.channels;
      PoolWindow<Lanes<L>>(map, image, row % map.rows, column, y + at, taps + at);
    }
  }
}

// The gradient at one position of x: the sum of dy over the windows whose maximum it is. `dy` and `taps` are an image's.
template <typename L>
CIRKD_INLINE void GradientAt(const PooledMap& map, const float* dy, const uint8_t* taps, int64_t row,
                             int64_t column, float* dx) {
  typedef typename L::Vector Vector;
  typedef typename Taps<L>::Numbers Numbers;
  typedef typename Taps<L>::Bytes Bytes;
  const Span rows = map.Covering(row, map.rows), columns = map.Covering(column, map.columns);
  const int64_t channels = map.channels;
  int64_t c = 0;
  for (; c + L::kWidth <= channels; c += L::kWidth) {
    Vector sum = {};
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      for (int64_t s = columns.begin; s < columns.end; ++s) {
        const int64_t at = (r * map.columns + s) * channels + c;
        Bytes bytes;
        std::memcpy(&bytes, taps + at, sizeof(bytes));
        const Numbers tap = Numbers{} + static_cast<int32_t>(map.Tap(row, r, column, s));
        const Numbers is_its = __builtin_convertvector(bytes, Numbers) == tap;
        const Vector given = *reinterpret_cast<const Vector*>(dy + at);
        const Vector none = {};
        sum += is_its ? given : none;
      }
    }
    *reinterpret_cast<Vector*>(dx + c) = sum;
  }
  for (; c < channels; ++c) {
    float sum = 0.0f;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      for (int64_t s = columns.begin; s < columns.end; ++s) {
        const int64_t at = (r * map.columns + s) * channels + c;
        if (taps[at] == map.Tap(row, r, column, s)) sum += dy[at];
      }
    }
    dx[c] = sum;
  }
}

// Rows [begin, end) of x, counted over all images.
template <typename L>
CIRKD_INLINE void GradientRows(const PooledMap& map, const float* dy, const uint8_t* taps,
                               int64_t begin, int64_t end, float* dx) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t image = row / map.height * map.rows * map.columns * map.channels;
    for (int64_t column = 0; column < map.width; ++column) {
      GradientAt<Lanes<L>>(map, dy + image, taps + image, row % map.height, column,
                    dx + (row * map.width + column) * map.channels);
    }
  }
}

CIRKD_AT_BEST_LEVEL(PoolRowsAtBest, PoolRows)
CIRKD_AT_BEST_LEVEL(GradientRowsAtBest, GradientRows)

// Taps are kept as bytes, and each window has to have a position of x.
bool ReadWindow(Call* call, const int32_t* numbers, PooledMap* map) {
  map->window = numbers[0], map->stride = numbers[1], map->padding = numbers[2];
  return call->Require(map->window > 0 && map->window < 16, "window: not from 1 to 15") &&
         call->Require(map->stride > 0, "stride: not above 0") &&
         call->Require(map->padding >= 0 && 2 * map->padding <= map->window,
                       "padding: not from 0 to half of the window");
}

bool SetSizes(Call* call, int64_t height, int64_t width, int64_t channels, PooledMap* map) {
  const Geometry geometry{map->stride, 1, map->padding};
  map->height = height, map->width = width, map->channels = channels;
  map->rows = geometry.OutputLength(height, map->window);
  map->columns = geometry.OutputLength(width, map->window);
  return call->Require(map->rows > 0 && map->columns > 0, "x: smaller than the window");
}

// Inputs: x [N, H, W, C], numbers (window, stride, padding). Outputs: y and taps, both [N, h, w, C].
void ComputeForward(Call* call) {
  Shape shape, other;
  PooledMap map;
  const float* const x = call->Input(0, &shape);
  if (!call->Require(shape.size() == 4, "x: not four-dimensional")) return;
  const int32_t* const numbers = call->Input<int32_t>(1, &other);
  if (numbers == nullptr || !call->Require(other == Shape{3}, "numbers: not three") ||
      !ReadWindow(call, numbers, &map) || !SetSizes(call, shape[1], shape[2], shape[3], &map)) {
    return;
  }
  const int64_t rows = shape[0] * map.rows;
  const Shape pooled{shape[0], map.rows, map.columns, map.channels};
  float* const y = call->Output(0, pooled);
  uint8_t* const taps = call->Output<uint8_t>(1, pooled);
  const int64_t elements = shape[0] * map.height * map.width * map.channels;
  if (elements == 0 || x == nullptr || y == nullptr || taps == nullptr) return;
  const int parts = PartsFor(rows, elements);
  Pool::Get().Run(parts, [&](int part) {
    PoolRowsAtBest(map, x, rows * part / parts, rows * (part + 1) / parts, y, taps);
  });
}

// Inputs: dy and taps [N, h, w, C], numbers (window, stride, padding, H, W). Output: dx [N, H, W, C].
void ComputeGradient(Call* call) {
  Shape shape, other;
  PooledMap map;
  const float* const dy = call->Input(0, &shape);
  if (!call->Require(shape.size() == 4, "dy: not four-dimensional")) return;
  const uint8_t* const taps = call->Input<uint8_t>(1, &other);
  if (!call->Require(other == shape, "taps: another shape than dy")) return;
  const int32_t* const numbers = call->Input<int32_t>(2, &other);
  if (numbers == nullptr || !call->Require(other == Shape{5}, "numbers: not five") ||
      !ReadWindow(call, numbers, &map) ||
      !SetSizes(call, numbers[3], numbers[4], shape[3], &map) ||
      !call->Require(shape[1] == map.rows && shape[2] == map.columns, "dy: not the size of the pooled x")) {
    return;
  }
  const int64_t rows = shape[0] * map.height, elements = rows * map.width * map.channels;
  float* const dx = call->Output(0, {shape[0], map.height, map.width, map.channels});
  if (elements == 0 || dy == nullptr || taps == nullptr || dx == nullptr) return;
  const int parts = PartsFor(rows, elements);
  Pool::Get().Run(parts, [&](int part) {
    GradientRowsAtBest(map, dy, taps, rows * part / parts, rows * (part + 1) / parts, dx);
  });
}

const bool registered = [] {
  Register<ComputeForward>("CirkdMaxPool", {"x: float", "numbers: int32"}, {"y: float", "taps: uint8"});
  Register<ComputeGradient>("CirkdMaxPoolGrad", {"dy: float", "taps: uint8", "numbers: int32"},
                            {"dx: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
