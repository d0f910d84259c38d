// Similarities between rows and keys, a unit of at most kBlock x kBlock at a time: their exponentials in both
// networks with the sums that a KL divergence between softmaxes needs, and the products with its gradient.
//
// All of a unit stays in a core's L2 cache between the products. Whole tiles are written: elements beyond a unit's rows
// and columns are unspecified.
#ifndef CIRKD_NATIVE_SIMILARITY_UNIT_H_
#define CIRKD_NATIVE_SIMILARITY_UNIT_H_

#include <algorithm>
#include <cstdint>

#include "matrixTile.h"
#include "panels.h"

namespace cirkd {

// Whole tiles and whole panels at every level.
constexpr int64_t kBlock = 192;
// Floats between a unit's rows: with a power of two, a column's elements would share a few sets of the cache.
constexpr int64_t kStride = 208;
constexpr int64_t kUnitFloats = kBlock * kStride;
// Channels per pass: a panel with as many rows fits into the L1 cache.
constexpr int64_t kSimilarityDepth = 256;

// What a unit's similarities are computed from, in one network.
struct UnitSide {
  const float* rows;    // `channels` apart
  const float* panels;  // keys, divided by the temperature: PackColumns
  int64_t channels;
};

// One number per row (or key) of a unit: the sums of exp(S), of exp(T), and of exp(T) (T - S).
struct UnitSums {
  float student[kBlock], teacher[kBlock], cross[kBlock];
};

// 1 / (sum of exp) of whole rows and, for similarities of rows with one another, of whole columns.
struct Reciprocals {
  const float *student_rows, *teacher_rows;
  const float *student_columns, *teacher_columns;
};

// out: similarities / temperature.
template <typename L>
CIRKD_INLINE void Similarities(const UnitSide& side, int64_t rows, int64_t columns, float* out) {
  static_assert(kBlock % L::kRows == 0 && kBlock % L::kColumns == 0, "whole tiles and panels");
  const float* row[L::kRows];
  for (int64_t column = 0; column < columns; column += L::kColumns) {
    const float* const panel = side.panels + column * side.channels;
    for (int64_t c = 0; c < side.channels; c += kSimilarityDepth) {
      const int64_t depth = std::min(kSimilarityDepth, side.channels - c);
      for (int64_t first = 0; first < rows; first += L::kRows) {
        for (int64_t i = 0; i < L::kRows; ++i) {
          row[i] = side.rows + std::min(first + i, rows - 1) * side.channels + c;
        }
        MatrixTile<L, 1, 2>(row, panel + c * L::kColumns, depth, out + first * kStride + column,
                            kStride, c > 0);
      }
    }
  }
}

// Similarities become their exponentials.
CIRKD_INLINE void ExpRows(int64_t rows, int64_t columns, float* x) {
  for (int64_t i = 0; i < rows; ++i) {
    float* const values = x + i * kStride;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) values[j] = Exp(values[j]);
  }
}

// The same of both networks, with the sums over rows and, with kBoth, over columns.
template <bool kBoth>
CIRKD_INLINE void ExpSumsOfRows(int64_t rows, int64_t columns, float* student, float* teacher,
                                UnitSums* row_sums, UnitSums* column_sums) {
  if (kBoth) *column_sums = UnitSums{};
  for (int64_t i = 0; i < rows; ++i) {
    float* const s = student + i * kStride;
    float* const t = teacher + i * kStride;
    float student_sum = 0.0f, teacher_sum = 0.0f, cross_sum = 0.0f;
#pragma omp simd reduction(+ : student_sum, teacher_sum, cross_sum)
    for (int64_t j = 0; j < columns; ++j) {
      const float q = Exp(s[j]), p = Exp(t[j]);
      const float cross = p * (t[j] - s[j]);
      s[j] = q;
      t[j] = p;
      student_sum += q;
      teacher_sum += p;
      cross_sum += cross;
      if (kBoth) {
        column_sums->student[j] += q;
        column_sums->teacher[j] += p;
        column_sums->cross[j] += cross;
      }
    }
    row_sums->student[i] = student_sum;
    row_sums->teacher[i] = teacher_sum;
    row_sums->cross[i] = cross_sum;
  }
}

// out = q - p: the gradient of the sum of KL(teacher || student), in both directions, with respect to the unit's similarities.
CIRKD_INLINE void UnitGradient(const float* student, const float* teacher, int64_t rows, int64_t columns,
                               const Reciprocals& of, float* out) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* const s = student + i * kStride;
    const float* const t = teacher + i * kStride;
    const float own = of.student_rows[i], target = of.teacher_rows[i];
    float* const g = out + i * kStride;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      g[j] = s[j] * (own + of.student_columns[j]) - t[j] * (target + of.teacher_columns[j]);
    }
  }
}

// sums += gradient * keys, keys in panels of `columns` rows (PackRows). sums: whole tiles of rows, `stride` apart, which is
// `channels` rounded up to whole panels.
template <typename L>
CIRKD_INLINE void AddToRows(const float* gradient, int64_t rows, int64_t columns, const float* panels,
                            int64_t channels, int64_t stride, float* sums) {
  const float* row[L::kRows];
  for (int64_t channel = 0; channel < channels; channel += L::kColumns) {
    for (int64_t first = 0; first < rows; first += L::kRows) {
      for (int64_t i = 0; i < L::kRows; ++i) row[i] = gradient + (first + i) * kStride;
      MatrixTile<L, 1, 2>(row, panels + channel * columns, columns, sums + first * stride + channel,
                          stride, true);
    }
  }
}

// sums += transposed gradient * rows, rows in panels of `rows` rows; sums as above, a row per column.
template <typename L>
CIRKD_INLINE void AddToColumns(const float* gradient, int64_t rows, int64_t columns, const float* panels,
                               int64_t channels, int64_t stride, float* sums) {
  const float* row[L::kRows];
  for (int64_t channel = 0; channel < channels; channel += L::kColumns) {
    for (int64_t first = 0; first < columns; first += L::kRows) {
      for (int64_t i = 0; i < L::kRows; ++i) row[i] = gradient + first + i;
      MatrixTile<L, kStride, 2>(row, panels + channel * rows, rows, sums + first * stride + channel,
                                stride, true);
    }
  }
}

// Keys as panels for Similarities, divided by the temperature.
template <typename L>
CIRKD_INLINE void PackKeys(const float* keys, int64_t count, int64_t channels,
                           float inverse_temperature, float* panels) {
  PackColumns<L>(keys, channels, count, channels, panels);
  const int64_t length = RoundUp(count, L::kColumns) * channels;
#pragma omp simd
  for (int64_t i = 0; i < length; ++i) panels[i] *= inverse_temperature;
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_SIMILARITY_UNIT_H_
