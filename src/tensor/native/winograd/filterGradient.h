// The weights' gradient of a convolution of 3x3 taps by Winograd's algorithm: the products of the transformed tiles of
// x and dy are summed over all tiles, then transformed.
#ifndef CIRKD_NATIVE_WINOGRAD_FILTER_GRADIENT_H_
#define CIRKD_NATIVE_WINOGRAD_FILTER_GRADIENT_H_

#include <algorithm>
#include <cstdint>

#include "tiles.h"

namespace cirkd {

struct WinogradFilterGradient {
  TileGrid grid;
  TiledMap x, dy;
  int64_t padding_rows, padding_columns;
  float* dw;              // [3][3][x's channels][dy's channels]
  int64_t rows, columns;  // of a block: channels of x and of dy
  int64_t tiles;          // that are transformed at a time

  int64_t RowBlocks() const { return (x.channels + rows - 1) / rows; }
  int64_t ColumnBlocks() const { return (dy.channels + columns - 1) / columns; }
};

// out[i][j] += sum over t of left[t * left_stride + i] * right[t * right_stride + j], for kRows rows and kColumns
// columns.
template <typename L>
CIRKD_INLINE void OuterTile(const float* left, int64_t left_stride, const float* right, int64_t right_stride,
                            int64_t depth, float* out, int64_t out_stride) {
  typedef typename L::Vector Vector;
  Vector sum[L::kRows][2];
  for (int i = 0; i < L::kRows; ++i) {
    for (int v = 0; v < 2; ++v) sum[i][v] = Vector{};
  }
  for (int64_t t = 0; t < depth; ++t, left += left_stride, right += right_stride) {
    const Vector first = *reinterpret_cast<const Vector*>(right);
    const Vector second = *reinterpret_cast<const Vector*>(right + L::kWidth);
    for (int i = 0; i < L::kRows; ++i) {
      sum[i][0] += left[i] * first;
      sum[i][1] += left[i] * second;
    }
  }
  for (int i = 0; i < L::kRows; ++i) {
    for (int v = 0; v < 2; ++v) *reinterpret_cast<Vector*>(out + i * out_stride + v * L::kWidth) += sum[i][v];
  }
}

// Channels of a block in memory: whole tiles of the product.
template <typename L>
CIRKD_INLINE int64_t PaddedRows(const WinogradFilterGradient& gradient) {
  return (gradient.rows + L::kRows - 1) / L::kRows * L::kRows;
}
template <typename L>
CIRKD_INLINE int64_t PaddedColumns(const WinogradFilterGradient& gradient) {
  return (gradient.columns + L::kColumns - 1) / L::kColumns * L::kColumns;
}

// The memory that a block needs, in floats: transformed tiles of x and of dy, and sums.
template <typename L, int kOutputs>
CIRKD_INLINE void FilterBlockSizes(const WinogradFilterGradient& gradient, int64_t* sizes) {
  constexpr int64_t kPoints = Winograd<kOutputs>::kSide * Winograd<kOutputs>::kSide;
  const int64_t rows = PaddedRows<L>(gradient), columns = PaddedColumns<L>(gradient);
  sizes[0] = kPoints * PointStride(gradient.tiles, RowStride(rows));
  sizes[1] = kPoints * PointStride(gradient.tiles, RowStride(columns));
  sizes[2] = kPoints * PointStride(rows, RowStride(columns));
}

// Blocks [begin, end) of the gradient, all of a row first. memory: as large as FilterBlockSizes says, finite.
template <typename L, int kOutputs>
CIRKD_INLINE void FilterBlocks(const WinogradFilterGradient& gradient, int64_t begin, int64_t end, float* memory) {
  typedef typename L::Vector Vector;
  typedef Winograd<kOutputs> W;
  constexpr int kPoints = W::kSide * W::kSide;
  const TiledMap &x = gradient.x, &dy = gradient.dy;
  const int64_t rows = PaddedRows<L>(gradient), columns = PaddedColumns<L>(gradient);
  int64_t sizes[3];
  FilterBlockSizes<L, kOutputs>(gradient, sizes);
  const TransformedTiles left{memory, sizes[0] / kPoints, RowStride(rows)};
  const TransformedTiles right{memory + sizes[0], sizes[1] / kPoints, RowStride(columns)};
  const TransformedTiles sums{memory + sizes[0] + sizes[1], sizes[2] / kPoints, RowStride(columns)};
  const int64_t tiles = gradient.grid.Count();
  for (int64_t block = begin; block < end; ++block) {
    const int64_t c0 = block / gradient.ColumnBlocks() * gradient.rows;
    const int64_t k0 = block % gradient.ColumnBlocks() * gradient.columns;
    const int64_t c1 = std::min(x.channels, c0 + gradient.rows), k1 = std::min(dy.channels, k0 + gradient.columns);
    std::fill(sums.values, sums.values + sizes[2], 0.0f);
    for (int64_t tile = 0; tile < tiles; tile += gradient.tiles) {
      const int64_t last = std::min(tiles, tile + gradient.tiles);
      TransformTiles<L, kOutputs, true>(gradient.grid, x, -gradient.padding_rows, -gradient.padding_columns, tile,
                                        last, c0, c1, left);
      TransformTiles<L, kOutputs, false>(gradient.grid, dy, 0, 0, tile, last, k0, k1, right);
      for (int p = 0; p < kPoints; ++p) {
        for (int64_t k = 0; k < k1 - k0; k += L::kColumns) {
          for (int64_t c = 0; c < c1 - c0; c += L::kRows) {
            OuterTile<L>(left.At(p, 0) + c, left.row_stride, right.At(p, 0) + k, right.row_stride, last - tile,
                         sums.At(p, c) + k, sums.row_stride);
          }
        }
      }
    }
    for (int64_t c = c0; c < c1; ++c) {
      for (int64_t k = k0; k < k1; k += L::kWidth) {
        Vector half[kTaps * W::kSide];
        for (int j = 0; j < W::kSide; ++j) {
          Vector in[W::kSide], got[kTaps];
          for (int i = 0; i < W::kSide; ++i) {
            in[i] = *reinterpret_cast<const Vector*>(sums.At(i * W::kSide + j, c - c0) + k - k0);
          }
          W::FilterGradient(in, got);
          for (int r = 0; r < kTaps; ++r) half[r * W::kSide + j] = got[r];
        }
        for (int r = 0; r < kTaps; ++r) {
          Vector got[kTaps];
          W::FilterGradient(half + r * W::kSide, got);
          for (int s = 0; s < kTaps; ++s) {
            StoreChannels<L>(got[s], gradient.dw + ((r * kTaps + s) * x.channels + c) * dy.channels, k, k1);
          }
        }
      }
    }
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_WINOGRAD_FILTER_GRADIENT_H_
