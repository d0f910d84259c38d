// Matrices in the order in which MatrixTile reads its right one.
#ifndef CIRKD_NATIVE_PANELS_H_
#define CIRKD_NATIVE_PANELS_H_

#include <algorithm>
#include <cstdint>

#include "level.h"

namespace cirkd {

constexpr int64_t RoundUp(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

// Panels of kColumns columns of the matrix whose rows are `stride` apart: [panel][row][column], padded with zeros.
template <typename L>
CIRKD_INLINE void PackRows(const float* from, int64_t stride, int64_t rows, int64_t columns,
                           float* to) {
  for (int64_t first = 0; first < columns; first += L::kColumns) {
    const int64_t width = std::min<int64_t>(L::kColumns, columns - first);
    for (int64_t row = 0; row < rows; ++row, to += L::kColumns) {
      const float* const source = from + row * stride + first;
      for (int64_t j = 0; j < width; ++j) to[j] = source[j];
      for (int64_t j = width; j < L::kColumns; ++j) to[j] = 0.0f;
    }
  }
}

// The same of the transposed matrix: its columns are the rows of `from`.
template <typename L>
CIRKD_INLINE void PackColumns(const float* from, int64_t stride, int64_t rows, int64_t columns,
                              float* to) {
  for (int64_t first = 0; first < rows; first += L::kColumns) {
    const int64_t width = std::min<int64_t>(L::kColumns, rows - first);
    for (int64_t column = 0; column < columns; ++column, to += L::kColumns) {
      for (int64_t j = 0; j < L::kColumns; ++j) {
        to[j] = j < width ? from[(first + j) * stride + column] : 0.0f;
      }
    }
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_PANELS_H_
