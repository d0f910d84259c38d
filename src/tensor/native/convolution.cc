// The convolutions' products, with the best vector instructions that the processor has.
#include "convolution.h"

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
// and each thread gets several, so that a delayed thread delays little. The result doesn't depend on it.
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

}  // namespace

void ConvolutionForward(const ConvolutionShape& shape, const float* x, const float* weights,
                        const Epilogue* epilogue, float* y) {
  if (const int64_t side = WinogradOutputs(shape, Pass::kForward)) {
    return WinogradForward(shape, side, x, weights, epilogue, y);
  }
  const Gather gather = ForwardGather(shape, x);
  ForPieces(shape.outputs, shape.taps() * shape.inputs, [&](const Columns& columns) {
    const float* const from = weights + columns.first;
    const auto panels = PackPanels(
        shape.taps(), shape.inputs, columns.count, BestTile().columns, 1,
        [&](int64_t tap, int64_t c) { return from + (tap * shape.inputs + c) * shape.outputs; });
    RunGathered(gather, panels.get(), shape.out_positions(), columns, epilogue, y);
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
  if (const int64_t side = WinogradOutputs(shape, Pass::kFilterGradient)) {
    return WinogradFilterGradients(shape, side, x, dy, dw);
  }
  const Gather gather = ForwardGather(shape, x);
  const int64_t tiles = FilterTiles(gather, BestTile().rows);
  const double work = 1.0 * shape.out_positions() * shape.taps() * shape.inputs * shape.outputs;
  const FilterDivision division = DivideFilter(shape, tiles, work);
  const int64_t row_parts = division.row_parts, columns = division.columns;
  const int64_t column_parts = (shape.outputs + columns - 1) / columns;
  Pool::Get().Run(static_cast<int>(row_parts * column_parts), [&](int part) {
    const int64_t row = part / column_parts, column = part % column_parts * columns;
    const FilterPart of{tiles * row / row_parts, tiles * (row + 1) / row_parts, column,
                        std::min(shape.outputs, column + columns)};
    FilterRowsAtBest(gather, dy, shape.out_positions(), shape.outputs, of, dw);
  });
}

}  // namespace cirkd
