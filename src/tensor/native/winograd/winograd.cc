// The blocks of Winograd's algorithm on the threads, with the best vector instructions that the processor has.
#include "winograd.h"

#include <algorithm>
#include <memory>
#include <new>

#include "../threadPool.h"
#include "filterGradient.h"
#include "product.h"

namespace cirkd {
namespace {

// Transformed filters that are alive at a time, in floats: 16 MiB.
constexpr int64_t kPanelFloats = 1 << 22;
// Columns of which a block's sums are in a core's cache.
constexpr int64_t kMostColumns = 256;
// Tiles of a block, at most. Rows of filters that one part transforms, at least.
constexpr int64_t kBlockTiles = 48, kFilterRows = 16;
// Sides of a block of the weights' gradient.
constexpr int64_t kGradientRows = 64, kGradientColumns = 64;

template <typename L>
CIRKD_INLINE void FilterPart(const WinogradProduct& product, int64_t begin, int64_t end) {
  if (product.grid.outputs == 4) {
    TransformFilters<L, 4>(product, begin, end);
  } else {
    TransformFilters<L, 2>(product, begin, end);
  }
}

template <typename L>
CIRKD_INLINE void Sizes(const WinogradProduct& product, int64_t* transformed, int64_t* sums) {
  if (product.grid.outputs == 4) {
    BlockSizes<L, 4>(product, transformed, sums);
  } else {
    BlockSizes<L, 2>(product, transformed, sums);
  }
}

template <typename L>
CIRKD_INLINE void Block(const WinogradProduct& product, int64_t begin, int64_t end, float* memory) {
  if (product.grid.outputs == 4) {
    MultiplyBlock<L, 4>(product, begin, end, memory);
  } else {
    MultiplyBlock<L, 2>(product, begin, end, memory);
  }
}

template <typename L>
CIRKD_INLINE void GradientSizes(const WinogradFilterGradient& gradient, int64_t* sizes) {
  if (gradient.grid.outputs == 4) {
    FilterBlockSizes<L, 4>(gradient, sizes);
  } else {
    FilterBlockSizes<L, 2>(gradient, sizes);
  }
}

template <typename L>
CIRKD_INLINE void GradientBlocks(const WinogradFilterGradient& gradient, int64_t begin, int64_t end, float* memory) {
  if (gradient.grid.outputs == 4) {
    FilterBlocks<L, 4>(gradient, begin, end, memory);
  } else {
    FilterBlocks<L, 2>(gradient, begin, end, memory);
  }
}

CIRKD_AT_BEST_LEVEL(FilterPartAtBest, FilterPart)
CIRKD_AT_BEST_LEVEL(SizesAtBest, Sizes)
CIRKD_AT_BEST_LEVEL(BlockAtBest, Block)
CIRKD_AT_BEST_LEVEL(GradientSizesAtBest, GradientSizes)
CIRKD_AT_BEST_LEVEL(GradientBlocksAtBest, GradientBlocks)

// Floats at the start of a cache line, so that no vector lies across two.
class LineAligned {
 public:
  LineAligned() = default;
  LineAligned(const LineAligned&) = delete;
  LineAligned& operator=(const LineAligned&) = delete;
  ~LineAligned() { Free(); }

  // At least `length` floats, zeros or what was there.
  float* AtLeast(int64_t length) {
    if (length <= length_) return values_;
    Free();
    values_ = static_cast<float*>(::operator new(length * sizeof(float), kLine));
    length_ = length;
    std::fill(values_, values_ + length, 0.0f);
    return values_;
  }

 private:
  static constexpr std::align_val_t kLine{64};

  void Free() {
    if (values_ != nullptr) ::operator delete(values_, kLine);
    values_ = nullptr;
    length_ = 0;
  }

  float* values_ = nullptr;
  int64_t length_ = 0;
};

// A thread keeps its few MiB: asked for again at each call, they would cost as much as a block's transforms.
float* BlockMemory(int64_t length) {
  thread_local LineAligned memory;
  return memory.AtLeast(length);
}

// `length` divided into equal pieces that are multiples of `step` and no longer than `most`, but at least a step.
int64_t EvenPiece(int64_t length, int64_t most, int64_t step) {
  const int64_t pieces = std::max<int64_t>(1, (length + most - 1) / most);
  return ((length + pieces - 1) / pieces + step - 1) / step * step;
}

int64_t Points(const TileGrid& grid) { return (grid.outputs + 2) * (grid.outputs + 2); }

// Columns [product.column, ...) of the whole output.
void RunColumns(const WinogradProduct& product) {
  const int64_t rows = product.filters.rows;
  const int parts = PartsFor((rows + kFilterRows - 1) / kFilterRows, rows * product.columns * kTaps * kTaps);
  Pool::Get().Run(parts, [&](int part) {
    FilterPartAtBest(product, rows * part / parts, rows * (part + 1) / parts);
  });
  int64_t transformed = 0, sums = 0;
  int64_t *const transformed_at = &transformed, *const sums_at = &sums;
  SizesAtBest(product, transformed_at, sums_at);
  const int64_t tiles = product.grid.Count(), blocks = (tiles + product.tiles - 1) / product.tiles;
  Pool::Get().Run(static_cast<int>(blocks), [&](int block) {
    const int64_t begin = block * product.tiles, end = std::min(tiles, begin + product.tiles);
    float* const memory = BlockMemory(transformed + sums);
    BlockAtBest(product, begin, end, memory);
  });
}

void RunProduct(WinogradProduct product) {
  const int64_t columns = product.filters.columns, rows = product.filters.rows, points = Points(product.grid);
  const TileSize tile = BestTile();
  const int64_t most = std::min(kMostColumns, kPanelFloats / (points * rows));
  const int64_t piece = EvenPiece(columns, std::max(most / tile.columns * tile.columns, tile.columns), tile.columns);
  const int64_t tiles = product.grid.Count(), threads = Pool::Get().size();
  const int64_t share = (tiles + threads - 1) / threads;
  product.tiles = EvenPiece(share, kBlockTiles, tile.rows);
  LineAligned panels;
  product.panels = panels.AtLeast(points * rows * piece);
  for (int64_t column = 0; column < columns; column += piece) {
    product.column = column;
    product.columns = std::min(piece, columns - column);
    RunColumns(product);
  }
}

}  // namespace

void WinogradForward(const ConvolutionShape& shape, int64_t outputs, const float* x, const float* weights,
                     const Epilogue* epilogue, float* y) {
  WinogradProduct product{};
  product.grid = {shape.images, shape.out_height, shape.out_width, shape.dilation, outputs};
  product.map = {x, shape.height, shape.width, shape.inputs};
  product.padding_rows = shape.padding_rows;
  product.padding_columns = shape.padding_columns;
  product.filters = {weights, shape.inputs, shape.outputs, shape.outputs, 1, shape.inputs * shape.outputs, false};
  product.epilogue = epilogue;
  product.out = y;
  RunProduct(product);
}

void WinogradInputGradient(const ConvolutionShape& shape, int64_t outputs, const float* dy, const float* weights,
                           float* dx) {
  const int64_t reach = (kTaps - 1) * shape.dilation;
  WinogradProduct product{};
  product.grid = {shape.images, shape.height, shape.width, shape.dilation, outputs};
  product.map = {dy, shape.out_height, shape.out_width, shape.outputs};
  product.padding_rows = reach - shape.padding_rows;
  product.padding_columns = reach - shape.padding_columns;
  product.filters = {weights, shape.outputs, shape.inputs, 1, shape.outputs, shape.inputs * shape.outputs, true};
  product.out = dx;
  RunProduct(product);
}

void WinogradFilterGradients(const ConvolutionShape& shape, int64_t outputs, const float* x, const float* dy,
                             float* dw) {
  const TileSize tile = BestTile();
  WinogradFilterGradient gradient{};
  gradient.grid = {shape.images, shape.out_height, shape.out_width, shape.dilation, outputs};
  gradient.x = {x, shape.height, shape.width, shape.inputs};
  gradient.dy = {dy, shape.out_height, shape.out_width, shape.outputs};
  gradient.padding_rows = shape.padding_rows;
  gradient.padding_columns = shape.padding_columns;
  gradient.dw = dw;
  gradient.columns = EvenPiece(shape.outputs, kGradientColumns, tile.columns);
  // A block for each thread, if there are rows enough.
  const int64_t threads = Pool::Get().size(), share = shape.inputs * gradient.ColumnBlocks() / threads;
  gradient.rows = EvenPiece(shape.inputs, std::clamp(share, tile.rows, kGradientRows), tile.rows);
  gradient.tiles = std::min(kBlockTiles, gradient.grid.Count());
  int64_t sizes[3];
  int64_t* const sizes_at = sizes;
  GradientSizesAtBest(gradient, sizes_at);
  const int64_t blocks = gradient.RowBlocks() * gradient.ColumnBlocks();
  Pool::Get().Run(static_cast<int>(blocks), [&](int block) {
    float* const memory = BlockMemory(sizes[0] + sizes[1] + sizes[2]);
    const int64_t begin = block, end = block + 1;
    GradientBlocksAtBest(gradient, begin, end, memory);
  });
}

}  // namespace cirkd
