// Convolutions of 3x3 taps by Winograd's algorithm: transformed tiles of the map times transformed filters, point by
// point. A block of tiles is in the cache from the map to the output.
#ifndef CIRKD_NATIVE_WINOGRAD_PRODUCT_H_
#define CIRKD_NATIVE_WINOGRAD_PRODUCT_H_

#include <algorithm>
#include <cstdint>

#include "../activation.h"
#include "../matrixTile.h"
#include "tiles.h"

namespace cirkd {

// Channels of the map that are transformed at a time.
constexpr int64_t kTransformedDepth = 256;

// Filters [3][3][rows][columns] whose elements are a distance apart: of the weights, or of the weights the other way
// round, for the input's gradient.
struct Filters {
  const float* values;
  int64_t rows, columns;
  int64_t row_step, column_step, tap_step;
  bool flipped;

  const float* At(int tap, int64_t row) const {
    return values + (flipped ? kTaps * kTaps - 1 - tap : tap) * tap_step + row * row_step;
  }
};

// A convolution with stride 1, for the columns [column, column + columns) of the output.
struct WinogradProduct {
  TileGrid grid;
  TiledMap map;
  int64_t padding_rows, padding_columns;
  Filters filters;
  int64_t column, columns;
  float* panels;  // of these columns' transformed filters: [point][panel][row][kColumns]
  int64_t point_stride;  // of the panels; see PointStride
  const Epilogue* epilogue;
  float* out;
  int64_t tiles;  // of a block

  template <typename L>
  int64_t Panels() const {
    return (columns + L::kColumns - 1) / L::kColumns;
  }
  // Columns in memory.
  template <typename L>
  int64_t Width() const {
    return Panels<L>() * L::kColumns;
  }
};

// Panels of the filters' rows [begin, end).
template <typename L, int kOutputs>
CIRKD_INLINE void TransformFilters(const WinogradProduct& product, int64_t begin, int64_t end) {
  typedef typename L::Vector Vector;
  typedef Winograd<kOutputs> W;
  const Filters& filters = product.filters;
  const int64_t panel_size = filters.rows * L::kColumns, width = product.Width<L>();
  for (int64_t j = 0; j < width; j += L::kWidth) {
    const int64_t here = std::clamp<int64_t>(product.columns - j, 0, L::kWidth);
    float* const to = product.panels + j / L::kColumns * panel_size + j % L::kColumns;
    for (int64_t row = begin; row < end; ++row) {
      Vector half[W::kSide * kTaps];
#pragma GCC unroll 3
      for (int s = 0; s < kTaps; ++s) {
        Vector column[kTaps], got[W::kSide];
#pragma GCC unroll 3
        for (int r = 0; r < kTaps; ++r) {
          const float* const from = filters.At(r * kTaps + s, row) + (product.column + j) * filters.column_step;
          if (here == L::kWidth && filters.column_step == 1) {
            column[r] = *reinterpret_cast<const Vector*>(from);
          } else {
            float part[L::kWidth] = {};
            for (int64_t i = 0; i < here; ++i) part[i] = from[i * filters.column_step];
            column[r] = *reinterpret_cast<const Vector*>(part);
          }
        }
        W::Filter(column, got);
        for (int i = 0; i < W::kSide; ++i) half[i * kTaps + s] = got[i];
      }
      for (int i = 0; i < W::kSide; ++i) {
        Vector got[W::kSide];
        W::Filter(half + i * kTaps, got);
        for (int s = 0; s < W::kSide; ++s) {
          *reinterpret_cast<Vector*>(to + (i * W::kSide + s) * product.point_stride + row * L::kColumns) = got[s];
        }
      }
    }
  }
}

// sums[point][tile] (+)= transformed[point][tile] times the panels' rows [c, c + depth).
template <typename L, int kPoints>
CIRKD_INLINE void MultiplyPoints(const WinogradProduct& product, const TransformedTiles& transformed, int64_t count,
                                 int64_t c, int64_t depth, const TransformedTiles& sums) {
  const int64_t channels = product.filters.rows, panels = product.Panels<L>();
  for (int p = 0; p < kPoints; ++p) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      const float* const right = product.panels + p * product.point_stride + (panel * channels + c) * L::kColumns;
      for (int64_t tile = 0; tile < count; tile += L::kRows) {
        const float* rows[L::kRows];
        for (int i = 0; i < L::kRows; ++i) rows[i] = transformed.At(p, tile + i);
        float* const to = sums.At(p, tile) + panel * L::kColumns;
        MatrixTile<L, 1, 2>(rows, right, depth, to, sums.row_stride, c > 0);
      }
    }
  }
}

// The outputs of tiles [begin, end) from their sums.
template <typename L, int kOutputs>
CIRKD_INLINE void WriteOutputs(const WinogradProduct& product, int64_t begin, int64_t end,
                               const TransformedTiles& sums) {
  typedef typename L::Vector Vector;
  typedef Winograd<kOutputs> W;
  const TileGrid& grid = product.grid;
  const int64_t stride = product.filters.columns, column = product.column, columns = product.columns;
  for (int64_t tile = begin; tile < end; ++tile) {
    const WinogradTile at = grid.At(tile);
    const int64_t rows = std::min<int64_t>(kOutputs, (grid.height - at.y + grid.dilation - 1) / grid.dilation);
    const int64_t across = std::min<int64_t>(kOutputs, (grid.width - at.x + grid.dilation - 1) / grid.dilation);
    const int64_t first = (at.image * grid.height + at.y) * grid.width + at.x;
    const float* const from = sums.At(0, tile - begin);
    for (int64_t k = 0; k < columns; k += L::kWidth) {
      Vector half[kOutputs * W::kSide];
#pragma GCC unroll 6
      for (int j = 0; j < W::kSide; ++j) {
        Vector in[W::kSide], got[kOutputs];
#pragma GCC unroll 6
        for (int i = 0; i < W::kSide; ++i) {
          in[i] = *reinterpret_cast<const Vector*>(from + (i * W::kSide + j) * sums.point_stride + k);
        }
        W::Output(in, got);
#pragma GCC unroll 4
        for (int i = 0; i < kOutputs; ++i) half[i * W::kSide + j] = got[i];
      }
      for (int64_t i = 0; i < rows; ++i) {
        Vector got[kOutputs];
        W::Output(half + i * W::kSide, got);
        for (int64_t j = 0; j < across; ++j) {
          const int64_t position = first + (i * grid.width + j) * grid.dilation;
          StoreChannels<L>(got[j], product.out + position * stride + column, k, columns);
        }
      }
    }
    if (product.epilogue == nullptr) continue;
    const Epilogue& end_with = *product.epilogue;
    for (int64_t i = 0; i < rows * across; ++i) {
      const int64_t position = first + (i / across * grid.width + i % across) * grid.dilation;
      float* const y = product.out + position * stride + column;
      const float* const shortcut =
          end_with.shortcut == nullptr ? nullptr : end_with.shortcut + position * stride + column;
      FinishRow(y, end_with.factor + column, end_with.offset + column, shortcut, end_with.range, columns, y);
    }
  }
}

// The two parts of the memory that a block needs, in floats. tile: of the level that it is computed at.
inline void BlockSizes(const WinogradProduct& product, TileSize tile, int64_t* transformed, int64_t* sums) {
  const int64_t points = product.grid.Points();
  const int64_t rows = (product.tiles + tile.rows - 1) / tile.rows * tile.rows;
  const int64_t width = (product.columns + tile.columns - 1) / tile.columns * tile.columns;
  *transformed = points * PointStride(rows, RowStride(std::min(kTransformedDepth, product.map.channels)));
  *sums = points * PointStride(rows, RowStride(width));
}

// Tiles [begin, end), at most product.tiles. memory: as large as BlockSizes says, of any value.
template <typename L, int kOutputs>
CIRKD_INLINE void MultiplyBlock(const WinogradProduct& product, int64_t begin, int64_t end, float* memory) {
  constexpr int kPoints = Winograd<kOutputs>::kSide * Winograd<kOutputs>::kSide;
  const int64_t channels = product.map.channels;
  int64_t transformed_size, sums_size;
  BlockSizes(product, {L::kRows, L::kColumns}, &transformed_size, &sums_size);
  const TransformedTiles transformed{memory, transformed_size / kPoints,
                                     RowStride(std::min(kTransformedDepth, channels))};
  const TransformedTiles sums{memory + transformed_size, sums_size / kPoints, RowStride(product.Width<L>())};
  for (int64_t c = 0; c < channels; c += kTransformedDepth) {
    const int64_t depth = std::min(kTransformedDepth, channels - c);
    TransformTiles<L, kOutputs, true>(product.grid, product.map, -product.padding_rows, -product.padding_columns,
                                      begin, end, c, c + depth, transformed);
    MultiplyPoints<L, kPoints>(product, transformed, end - begin, c, depth, sums);
  }
  WriteOutputs<L, kOutputs>(product, begin, end, sums);
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_WINOGRAD_PRODUCT_H_
