// The inner loop of the convolutions: a tile of a matrix product, held in registers.
//
// A tile is two vectors wide: the whole tile, two vectors of the right matrix and one factor of the left
// matrix fit into the registers.
#ifndef CIRKD_NATIVE_MATRIX_TILE_H_
#define CIRKD_NATIVE_MATRIX_TILE_H_

#include <cstdint>

#include "level.h"
#include "vectorMath.h"

namespace cirkd {

// out[i][j] (+)= sum over k of rows[i][k * kStep] * panel[k * kColumns + j], for kRows rows and
// kVectors vectors of columns; rows are `out_stride` apart.
template <typename L, int kStep, int kVectors>
CIRKD_INLINE void MatrixTile(const float* const* rows, const float* panel, int64_t depth,
                             float* out, int64_t out_stride, bool add) {
  typedef typename L::Vector Vector;
  const float* row[L::kRows];
  Vector sum[L::kRows][kVectors];
  for (int i = 0; i < L::kRows; ++i) {
    row[i] = rows[i];
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Vector{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector right[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      right[v] = *reinterpret_cast<const Vector*>(panel + v * L::kWidth);
    }
    panel += L::kColumns;
    for (int i = 0; i < L::kRows; ++i) {
      const float left = row[i][k * kStep];
      for (int v = 0; v < kVectors; ++v) sum[i][v] += left * right[v];
    }
  }
  for (int i = 0; i < L::kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      Vector* const at = reinterpret_cast<Vector*>(out + i * out_stride + v * L::kWidth);
      *at = add ? *at + sum[i][v] : sum[i][v];
    }
  }
}

// The same for the first `row_count` rows and `columns` columns of a tile at the edge, by means of a
// whole tile.
template <typename L, int kStep>
CIRKD_INLINE void EdgeTile(const float* const* rows, const float* panel, int64_t depth, float* out,
                           int64_t out_stride, bool add, int row_count, int columns) {
  float whole[L::kRows * L::kColumns];
  if (columns > L::kWidth) {
    MatrixTile<L, kStep, 2>(rows, panel, depth, whole, L::kColumns, false);
  } else {
    MatrixTile<L, kStep, 1>(rows, panel, depth, whole, L::kColumns, false);
  }
  for (int i = 0; i < row_count; ++i) {
    float* const to = out + i * out_stride;
    const float* const from = whole + i * L::kColumns;
    for (int j = 0; j < columns; ++j) to[j] = add ? to[j] + from[j] : from[j];
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_MATRIX_TILE_H_
