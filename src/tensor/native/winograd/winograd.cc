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
// Where the transformed filters are no more floats than this, they are read again fast enough for blocks of fewer tiles
// that are in a core's own cache with so many floats: 512 KiB.
constexpr int64_t kFewPanelFloats = 1 << 20, kBlockFloats = 1 << 17;
// Sides of a block of the weights' gradient. Tiles that are transformed at a time for it, in floats: 1 MiB; at least so
// many.
constexpr int64_t kGradientRows = 64, kGradientColumns = 64;
constexpr int64_t kGradientFloats = 1 << 18, kGradientTiles = 64;

// Defines name<L>(of, arguments...), which calls function<L, outputs along a tile's side>(of, arguments...).
#define CIRKD_FOR_EACH_SIDE(name, function)                                \
  template <typename L, typename Of, typename... Arguments>                \
  CIRKD_INLINE void name(const Of& of, const Arguments&... arguments) {    \
    if (of.grid.outputs == 4) {                                            \
      function<L, 4>(of, arguments...);                                    \
    } else {                                                               \
      function<L, 2>(of, arguments...);                                    \
    }                                                                      \
  }

CIRKD_FOR_EACH_SIDE(FilterPart, TransformFilters)
CIRKD_FOR_EACH_SIDE(Block, MultiplyBlock)
CIRKD_FOR_EACH_SIDE(Transforms, TransformBoth)
CIRKD_FOR_EACH_SIDE(GradientBlock, FilterBlock)

CIRKD_AT_BEST_LEVEL(FilterPartAtBest, FilterPart)
CIRKD_AT_BEST_LEVEL(BlockAtBest, Block)
CIRKD_AT_BEST_LEVEL(TransformsAtBest, Transforms)
CIRKD_AT_BEST_LEVEL(GradientBlockAtBest, GradientBlock)

// Floats at the start of a cache line, so that no vector lies across two.
class LineAligned {
 public:
  LineAligned() = default;
  LineAligned(const LineAligned&) = delete;
  LineAligned& operator=(const LineAligned&) = delete;
  ~LineAligned() { Free(); }

  // At least `length` floats, of any value.
  float* AtLeast(int64_t length) {
    if (length <= length_) return values_;
    Free();
    values_ = static_cast<float*>(::operator new(length * sizeof(float), kLine));
    length_ = length;
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

// What all threads of a call share, at most about 16 MiB. The caller's thread keeps it: the first touch of fresh pages
// takes longer than the transforms that are written there.
float* CallMemory(int64_t length) {
  thread_local LineAligned memory;
  return memory.AtLeast(length);
}

// `length` divided into equal pieces that are multiples of `step` and no longer than `most`, but at least a step.
int64_t EvenPiece(int64_t length, int64_t most, int64_t step) {
  const int64_t pieces = std::max<int64_t>(1, (length + most - 1) / most);
  return ((length + pieces - 1) / pieces + step - 1) / step * step;
}

// Columns [product.column, ...) of the whole output.
void RunColumns(const WinogradProduct& product) {
  const int64_t rows = product.filters.rows;
  const int parts = PartsFor((rows + kFilterRows - 1) / kFilterRows, rows * product.columns * kTaps * kTaps);
  Pool::Get().Run(parts, [&](int part) {
    FilterPartAtBest(product, rows * part / parts, rows * (part + 1) / parts);
  });
  int64_t transformed = 0, sums = 0;
  BlockSizes(product, BestTile(), &transformed, &sums);
  const int64_t tiles = product.grid.Count(), blocks = (tiles + product.tiles - 1) / product.tiles;
  Pool::Get().Run(static_cast<int>(blocks), [&](int block) {
    const int64_t begin = block * product.tiles, end = std::min(tiles, begin + product.tiles);
    float* const memory = BlockMemory(transformed + sums);
    BlockAtBest(product, begin, end, memory);
  });
}

// Tiles of a block of `columns` columns, at most.
int64_t MostTiles(const WinogradProduct& product, int64_t panel_floats, int64_t columns) {
  if (panel_floats > kFewPanelFloats) return kBlockTiles;
  const int64_t depth = std::min(kTransformedDepth, product.map.channels), rows = BestTile().rows;
  const int64_t floats = product.grid.Points() * (RowStride(depth) + RowStride(columns));
  return std::clamp(kBlockFloats / floats / rows * rows, 2 * rows, kBlockTiles);
}

void RunProduct(WinogradProduct product) {
  const int64_t columns = product.filters.columns, rows = product.filters.rows, points = product.grid.Points();
  const TileSize tile = BestTile();
  const int64_t most = std::min(kMostColumns, kPanelFloats / (points * rows));
  const int64_t piece = EvenPiece(columns, std::max(most / tile.columns * tile.columns, tile.columns), tile.columns);
  const int64_t tiles = product.grid.Count(), threads = Pool::Get().size();
  if (tiles == 0) return;
  const int64_t share = (tiles + threads - 1) / threads;
  product.tiles = EvenPiece(share, MostTiles(product, points * rows * piece, piece), tile.rows);
  product.point_stride = PointStride(rows, piece);
  product.panels = CallMemory(points * product.point_stride);
  for (int64_t column = 0; column < columns; column += piece) {
    product.column = column;
    product.columns = std::min(piece, columns - column);
    RunColumns(product);
  }
}

// The transformed tiles' part of the weights' gradient.
void SumOverTiles(const WinogradFilterGradient& gradient) {
  const int64_t tiles = gradient.tiles, points = gradient.grid.Points();
  const int parts = PartsFor(tiles, tiles * points * (gradient.x.channels + gradient.dy.channels));
  Pool::Get().Run(parts, [&](int part) {
    const int64_t begin = tiles * part / parts, end = tiles * (part + 1) / parts;
    TransformsAtBest(gradient, begin, end);
  });
  const int64_t floats = points * PointStride(gradient.rows, RowStride(gradient.columns));
  Pool::Get().Run(static_cast<int>(gradient.RowBlocks() * gradient.ColumnBlocks()), [&](int part) {
    const int64_t block = part;
    float* const memory = BlockMemory(floats);
    GradientBlockAtBest(gradient, block, memory);
  });
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

  const int64_t tiles = gradient.grid.Count(), points = gradient.grid.Points();
  const int64_t left_row = RowStride(shape.inputs), right_row = RowStride(shape.outputs);
  const int64_t most = std::max(kGradientTiles, kGradientFloats / (points * (left_row + right_row)));
  const int64_t piece = EvenPiece(tiles, most, 1);
  const int64_t left_point = PointStride(piece, left_row), right_point = PointStride(piece, right_row);
  float* const memory = CallMemory(points * (left_point + right_point));
  gradient.left = {memory, left_point, left_row};
  gradient.right = {memory + points * left_point, right_point, right_row};
  for (gradient.tile = 0; gradient.tile < tiles; gradient.tile += piece) {
    gradient.tiles = std::min(piece, tiles - gradient.tile);
    SumOverTiles(gradient);
  }
}

}  // namespace cirkd
