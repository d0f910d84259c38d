// The weights' gradient of a convolution of 3x3 taps by Winograd's algorithm: the products of the transformed tiles of
// x and dy are summed over all tiles, then transformed. Tiles are transformed once, as many at a time as a buffer holds.
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
  float* dw;                     // [3][3][x's channels][dy's channels]
  int64_t rows, columns;         // of a block: channels of x and of dy
  int64_t tile, tiles;           // those that are transformed: tiles [tile, tile + tiles)
  TransformedTiles left, right;  // of x and dy

  int64_t RowBlocks() const { return (x.channels + rows - 1) / rows; }
  int64_t ColumnBlocks() const { return (dy.channels + columns - 1) / columns; }
};

// Tiles [begin, end) of those that are transformed.
template <typename L, int kOutputs>
CIRKD_INLINE void TransformBoth(const WinogradFilterGradient& gradient, int64_t begin, int64_t end) {
  const TransformedTiles left = gradient.left.From(begin), right = gradient.right.From(begin);
  begin += gradient.tile, end += gradient.tile;
  TransformTiles<L, kOutputs, true>(gradient.grid, gradient.x, -gradient.padding_rows, -gradient.padding_columns, begin,
                                    end, 0, gradient.x.channels, left);
  TransformTiles<L, kOutputs, false>(gradient.grid, gradient.dy, 0, 0, begin, end, 0, gradient.dy.channels, right);
}

// out[i][j] = sum over t of left[t * left_stride + i] * right[t * right_stride + j], for kRows rows and kVectors
// vectors of columns.
template <typename L, int kVectors>
CIRKD_INLINE void OuterTile(const float* left, int64_t left_stride, const float* right, int64_t right_stride,
                            int64_t depth, float* out, int64_t out_stride) {
  typedef typename L::Vector Vector;
  Vector sum[L::kRows][kVectors];
  for (int i = 0; i < L::kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Vector{};
  }
  for (int64_t t = 0; t < depth; ++t, left += left_stride, right += right_stride) {
    Vector factor[kVectors];
    for (int v = 0; v < kVectors; ++v) factor[v] = *reinterpret_cast<const Vector*>(right + v * L::kWidth);
    for (int i = 0; i < L::kRows; ++i) {
      for (int v = 0; v < kVectors; ++v) sum[i][v] += left[i] * factor[v];
    }
  }
  for (int i = 0; i < L::kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) *reinterpret_cast<Vector*>(out + i * out_stride + v * L::kWidth) = sum[i][v];
  }
}

// dw[tap][c][k ...] = or += a vector of the gradient's sums, transformed; fewer of it at the last channels.
template <typename L, int kOutputs>
CIRKD_INLINE void WriteGradient(const WinogradFilterGradient& gradient, const float* sums, int64_t point_stride,
                                int64_t c, int64_t k) {
  typedef typename L::Vector Vector;
  typedef Winograd<kOutputs> W;
  const int64_t inputs = gradient.x.channels, outputs = gradient.dy.channels;
  Vector half[kTaps * W::kSide];
#pragma GCC unroll 6
  for (int j = 0; j < W::kSide; ++j) {
    Vector in[W::kSide], got[kTaps];
#pragma GCC unroll 6
    for (int i = 0; i < W::kSide; ++i) {
      in[i] = *reinterpret_cast<const Vector*>(sums + (i * W::kSide + j) * point_stride);
    }
    W::FilterGradient(in, got);
#pragma GCC unroll 3
    for (int r = 0; r < kTaps; ++r) half[r * W::kSide + j] = got[r];
  }
  for (int r = 0; r < kTaps; ++r) {
    Vector got[kTaps];
    W::FilterGradient(half + r * W::kSide, got);
    for (int s = 0; s < kTaps; ++s) {
      float* const to = gradient.dw + ((r * kTaps + s) * inputs + c) * outputs;
      Vector before = Vector{};
      if (gradient.tile > 0) LoadChannels<L>(to, k, outputs, &before);
      StoreChannels<L>(before + got[s], to, k, outputs);
    }
  }
}

// The transformed tiles' part of a block of the gradient. memory: for the sums of a block, of any value.
template <typename L, int kOutputs>
CIRKD_INLINE void FilterBlock(const WinogradFilterGradient& gradient, int64_t block, float* memory) {
  constexpr int kPoints = Winograd<kOutputs>::kSide * Winograd<kOutputs>::kSide;
  const TransformedTiles &left = gradient.left, &right = gradient.right;
  const int64_t stride = RowStride(gradient.columns), point_stride = PointStride(gradient.rows, stride);
  const int64_t c0 = block / gradient.ColumnBlocks() * gradient.rows;
  const int64_t k0 = block % gradient.ColumnBlocks() * gradient.columns;
  const int64_t c1 = std::min(gradient.x.channels, c0 + gradient.rows);
  const int64_t k1 = std::min(gradient.dy.channels, k0 + gradient.columns);
  for (int p = 0; p < kPoints; ++p) {
    for (int64_t k = k0; k < k1; k += L::kColumns) {
      for (int64_t c = c0; c < c1; c += L::kRows) {
        const float *const a = left.At(p, 0) + c, *const b = right.At(p, 0) + k;
        float* const to = memory + p * point_stride + (c - c0) * stride + (k - k0);
        if (k1 - k > L::kWidth) {
          OuterTile<L, 2>(a, left.row_stride, b, right.row_stride, gradient.tiles, to, stride);
        } else {
          OuterTile<L, 1>(a, left.row_stride, b, right.row_stride, gradient.tiles, to, stride);
        }
      }
    }
  }
  for (int64_t c = c0; c < c1; ++c) {
    for (int64_t k = k0; k < k1; k += L::kWidth) {
      WriteGradient<L, kOutputs>(gradient, memory + (c - c0) * stride + (k - k0), point_stride, c, k);
    }
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_WINOGRAD_FILTER_GRADIENT_H_
