// The convolutions' products, with the best vector instructions that the processor has.
#include "convolution.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "filterGradient.h"
#include "gatheredProduct.h"
#include "threadPool.h"
#include "winograd/choice.h"
#include "winograd/winograd.h"

namespace cirkd {
namespace {

CIRKD_AT_BEST_LEVEL(GatheredRowsAtBest, GatheredRows)
CIRKD_AT_BEST_LEVEL(FilterRowsAtBest, FilterRows)

// The number of parts that a product is divided into: each has about a million multiplications or more,
// and each thread gets several, so that a delayed thread delays little. Sums of a weights' gradient are in the order of it.
int Parts(int64_t pieces, double multiplications) {
  constexpr int kPartsPerThread = 4;
  const int64_t useful = static_cast<int64_t>(std::min(multiplications / (1 << 20), 1e6));
  const int64_t most = kPartsPerThread * Pool::Get().size();
  return static_cast<int>(std::max<int64_t>(1, std::min({useful, pieces, most})));
}

// How a weights' gradient is divided: into parts of rows, and pieces of so many columns.
struct FilterDivision {
  int64_t row_parts, columns;
};

// Each part reads and packs its rows of x and its columns of dy anew, so those are divided that cost less. At most
// kColumns columns: longer rows of dy fit into the cache at too few positions for long sums.
FilterDivision DivideFilter(const ConvolutionShape& shape, int64_t tiles, double multiplications) {
  constexpr int64_t kColumns = 256;
  // What a part for each thread, but not several, costs: a delayed thread delays all. Fewer leave threads idle.
  constexpr double kOneEach = 1.25, kIdle = 100;
  const int64_t tile = BestTile().columns, panels = (shape.outputs + tile - 1) / tile;
  const int64_t wanted = Parts(tiles * panels, multiplications);
  const int64_t threads = std::min<int64_t>(wanted, Pool::Get().size());
  FilterDivision best{};
  double least = 0;
  for (int64_t pieces = (shape.outputs + kColumns - 1) / kColumns; pieces <= panels; ++pieces) {
    for (int64_t row_parts = 1; row_parts <= std::min(tiles, (wanted + pieces - 1) / pieces); ++row_parts) {
      const double packed = 1.0 * pieces * shape.taps() * shape.inputs + 1.0 * row_parts * shape.outputs;
      const int64_t parts = pieces * row_parts;
      const double cost = packed * (parts >= wanted ? 1 : parts >= threads ? kOneEach : kIdle);
      if (best.row_parts != 0 && cost >= least) continue;
      best = {row_parts, (panels + pieces - 1) / pieces * tile};
      least = cost;
    }
  }
  return best;
}

// The right matrix in panels, see GatheredRows. row_of(tap, channel) is a row's first element; the
// others follow at a distance of `step`.
template <typename RowOf>
std::unique_ptr<float[]> PackPanels(int64_t taps, int64_t channels, int64_t columns,
                                    int64_t panel_columns, int64_t step, const RowOf& row_of) {
  const int64_t panels = (columns + panel_columns - 1) / panel_columns;
  const int64_t depth = taps * channels;
  std::unique_ptr<float[]> packed(new float[panels * depth * panel_columns]);
  const int parts = PartsFor(panels, panels * depth * panel_columns);
  Pool::Get().Run(parts, [&](int part) {
    for (int64_t panel = panels * part / parts; panel < panels * (part + 1) / parts; ++panel) {
      float* to = packed.get() + panel * depth * panel_columns;
      const int64_t first = panel * panel_columns;
      const int64_t width = std::min(panel_columns, columns - first);
      for (int64_t row = 0; row < depth; ++row, to += panel_columns) {
        const float* const from = row_of(row / channels, row % channels) + first * step;
        for (int64_t j = 0; j < panel_columns; ++j) to[j] = j < width ? from[j * step] : 0.0f;
      }
    }
  });
  return packed;
}

// Packed panels that are alive at a time, in floats: 8 MiB. Those of all the columns of a layer with 2048 channels would take
// 18 MiB or more, and be read from memory again for each block of rows.
constexpr int64_t kPanelFloats = 1 << 21;

// Calls work(columns) for pieces of the output's columns whose panels are of about that size.
template <typename Work>
void ForPieces(int64_t columns, int64_t depth, const Work& work) {
  const int64_t tile = BestTile().columns, panels = (columns + tile - 1) / tile;
  const int64_t most = std::max<int64_t>(1, kPanelFloats / (depth * tile));
  const int64_t pieces = (panels + most - 1) / most;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t first = panels * piece / pieces * tile;
    work(Columns{first, std::min(columns, panels * (piece + 1) / pieces * tile) - first, columns});
  }
}

void RunGathered(const Gather& gather, const float* panels, int64_t rows, const Columns& columns,
                 const Epilogue* epilogue, float* out) {
  const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  const int parts =
      Parts(blocks, 1.0 * rows * columns.count * gather.taps() * gather.channels);
  Pool::Get().Run(parts, [&](int part) {
    const int64_t begin = blocks * part / parts * kBlockRows;
    const int64_t end = std::min(rows, blocks * (part + 1) / parts * kBlockRows);
    GatheredRowsAtBest(gather, panels, columns, begin, end, epilogue, out);
  });
}

// Taps of the forward convolution, with its stride.
Gather ForwardGather(const ConvolutionShape& shape, const float* x) {
  Gather gather{x, shape.height, shape.width, shape.inputs, shape.out_height, shape.out_width,
                shape.stride, {}, {}};
  for (int64_t r = 0; r < shape.tap_rows; ++r) {
    for (int64_t s = 0; s < shape.tap_columns; ++s) {
      gather.tap_y.push_back(r * shape.dilation - shape.padding_rows);
      gather.tap_x.push_back(s * shape.dilation - shape.padding_columns);
    }
  }
  return gather;
}

void RunFilter(const Gather& gather, const ConvolutionShape& shape, const float* dy, int64_t positions, bool add,
               float* dw) {
  const int64_t tiles = FilterTiles(gather, BestTile().rows);
  const double work = 1.0 * positions * gather.taps() * gather.channels * shape.outputs;
  const FilterDivision division = DivideFilter(shape, tiles, work);
  const int64_t row_parts = division.row_parts, columns = division.columns;
  const int64_t column_parts = (shape.outputs + columns - 1) / columns;
  Pool::Get().Run(static_cast<int>(row_parts * column_parts), [&](int part) {
    const int64_t row = part / column_parts, column = part % column_parts * columns;
    const FilterPart of{tiles * row / row_parts, tiles * (row + 1) / row_parts, column,
                        std::min(shape.outputs, column + columns)};
    FilterRowsAtBest(gather, dy, positions, shape.outputs, of, add, dw);
  });
}

// With fewer input channels, most of a tap's time would be spent on loading and storing its sums: all taps' channels are
// put side by side first, for so many positions at a time.
constexpr int64_t kFewInputs = 8, kUnrolledPositions = 4096;

bool IsUnrolled(const ConvolutionShape& shape) { return shape.inputs < kFewInputs && shape.taps() > 1; }

// Floats that are copied at once: more than are wanted are read and written.
constexpr int64_t kCopied = 8;

// The rows of x_NHWC with their padding before and behind them; and kCopied floats more.
std::unique_ptr<float[]> PaddedRows(const ConvolutionShape& shape, const float* x) {
  const int64_t rows = shape.images * shape.height, before = shape.padding_columns * shape.inputs;
  const int64_t length = shape.width * shape.inputs, whole = length + 2 * before;
  std::unique_ptr<float[]> padded(new float[rows * whole + kCopied]);
  std::fill_n(padded.get() + rows * whole, kCopied, 0.0f);
  const int parts = PartsFor(rows, rows * whole);
  Pool::Get().Run(parts, [&](int part) {
    for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) {
      float* const to = padded.get() + row * whole;
      std::fill_n(to, before, 0.0f);
      std::copy_n(x + row * length, length, to + before);
      std::fill_n(to + before + length, before, 0.0f);
    }
  });
  return padded;
}

// All taps' channels for the positions from `first` on, whose rows of taps lie side by side in the map without dilation.
void Unroll(const ConvolutionShape& shape, const float* padded, int64_t first, int64_t count, float* to) {
  const int64_t width = shape.width + 2 * shape.padding_columns;
  // Pieces of a row of taps: one, or each tap.
  const int64_t pieces = shape.dilation == 1 ? 1 : shape.tap_columns;
  const int64_t length = shape.tap_columns / pieces * shape.inputs;
  const float* const end = to + count * shape.taps() * shape.inputs;
  // Counted, as divisions for each position would take as long as its copies.
  int64_t image = first / (shape.out_height * shape.out_width);
  int64_t row = first / shape.out_width % shape.out_height, column = first % shape.out_width;
  for (int64_t p = 0; p < count; ++p) {
    const int64_t y = row * shape.stride - shape.padding_rows, x = column * shape.stride;
    for (int64_t r = 0; r < shape.tap_rows; ++r) {
      const int64_t at = y + r * shape.dilation;
      const bool inside = at >= 0 && at < shape.height;
      for (int64_t s = 0; s < pieces; ++s, to += length) {
        if (!inside) {
          std::fill_n(to, length, 0.0f);
          continue;
        }
        const float* const from =
            padded + ((image * shape.height + at) * width + x + s * shape.dilation) * shape.inputs;
        // What a copy writes behind the piece is the next one's; at the end it would be another part's.
        if (end - to < length + kCopied) {
          std::copy_n(from, length, to);
          continue;
        }
        for (int64_t i = 0; i < length; i += kCopied) std::memcpy(to + i, from + i, kCopied * sizeof(float));
      }
    }
    if (++column < shape.out_width) continue;
    column = 0;
    if (++row < shape.out_height) continue;
    row = 0;
    image += 1;
  }
}

// Calls work(first, the map of positions [first, first + its width) with all taps' channels).
template <typename Work>
void Unrolled(const ConvolutionShape& shape, const float* x, const Work& work) {
  const auto padded = PaddedRows(shape, x);
  const int64_t positions = shape.out_positions(), depth = shape.taps() * shape.inputs;
  const int64_t most = std::min(positions, kUnrolledPositions);
  std::unique_ptr<float[]> rows(new float[most * depth]);
  for (int64_t first = 0; first < positions; first += most) {
    const int64_t count = std::min(most, positions - first);
    const int parts = PartsFor(count, count * depth);
    Pool::Get().Run(parts, [&](int part) {
      const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
      Unroll(shape, padded.get(), first + begin, end - begin, rows.get() + begin * depth);
    });
    work(first, Gather{rows.get(), 1, count, depth, 1, count, 1, {0}, {0}});
  }
}

}  // namespace

void ConvolutionForward(const ConvolutionShape& shape, const float* x, const float* weights,
                        const Epilogue* epilogue, float* y) {
  if (const int64_t side = WinogradOutputs(shape, Pass::kForward)) {
    return WinogradForward(shape, side, x, weights, epilogue, y);
  }
  ForPieces(shape.outputs, shape.taps() * shape.inputs, [&](const Columns& columns) {
    const float* const from = weights + columns.first;
    const auto panels = PackPanels(
        shape.taps(), shape.inputs, columns.count, BestTile().columns, 1,
        [&](int64_t tap, int64_t c) { return from + (tap * shape.inputs + c) * shape.outputs; });
    if (!IsUnrolled(shape)) {
      return RunGathered(ForwardGather(shape, x), panels.get(), shape.out_positions(), columns, epilogue, y);
    }
    Unrolled(shape, x, [&](int64_t first, const Gather& gather) {
      const int64_t at = first * shape.outputs;
      const auto run = [&](const Epilogue* here) {
        RunGathered(gather, panels.get(), gather.width, columns, here, y + at);
      };
      if (epilogue == nullptr) return run(nullptr);
      const Epilogue here = epilogue->From(at);
      run(&here);
    });
  });
}

void ConvolutionInputGradient(const ConvolutionShape& shape, const float* dy, const float* weights,
                              float* dx) {
  if (const int64_t side = WinogradOutputs(shape, Pass::kInputGradient)) {
    return WinogradInputGradient(shape, side, dy, weights, dx);
  }
  Gather gather{dy, shape.out_height, shape.out_width, shape.outputs, shape.height, shape.width,
                1, {}, {}};
  for (int64_t r = 0; r < shape.tap_rows; ++r) {
    for (int64_t s = 0; s < shape.tap_columns; ++s) {
      gather.tap_y.push_back(shape.padding_rows - r * shape.dilation);
      gather.tap_x.push_back(shape.padding_columns - s * shape.dilation);
    }
  }
  ForPieces(shape.inputs, shape.taps() * shape.outputs, [&](const Columns& columns) {
    const float* const from = weights + columns.first * shape.outputs;
    const auto panels = PackPanels(
        shape.taps(), shape.outputs, columns.count, BestTile().columns, shape.outputs,
        [&](int64_t tap, int64_t k) { return from + tap * shape.inputs * shape.outputs + k; });
    RunGathered(gather, panels.get(), shape.images * shape.height * shape.width, columns, nullptr, dx);
  });
}

void ConvolutionFilterGradient(const ConvolutionShape& shape, const float* x, const float* dy,
                               float* dw) {
  if (shape.out_positions() == 0) {
    std::fill_n(dw, shape.taps() * shape.inputs * shape.outputs, 0.0f);
    return;
  }
  if (const int64_t side = WinogradOutputs(shape, Pass::kFilterGradient)) {
    return WinogradFilterGradients(shape, side, x, dy, dw);
  }
  if (!IsUnrolled(shape)) {
    return RunFilter(ForwardGather(shape, x), shape, dy, shape.out_positions(), false, dw);
  }
  Unrolled(shape, x, [&](int64_t first, const Gather& gather) {
    RunFilter(gather, shape, dy + first * shape.outputs, gather.width, first > 0, dw);
  });
}

}  // namespace cirkd
