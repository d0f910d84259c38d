// The loops of dot-product attention, for each level of vector instructions. Rows of the scores are in memory for a
// block of queries at a time.
//
// N images, P queries, M keys, h heads with D channels of queries, keys and values each; C = h D.
#ifndef CIRKD_NATIVE_ATTENTION_H_
#define CIRKD_NATIVE_ATTENTION_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "matrixTile.h"
#include "panels.h"

namespace cirkd {

struct AttentionShape {
  int64_t images, queries, keys, heads, depth;  // N P M h D
  float factor;                                 // of the products, before the softmax

  int64_t channels() const { return heads * depth; }
  int64_t maps() const { return images * heads; }
};

// What one head reads, at its first channel; rows are `channels` apart.
struct HeadMaps {
  const float *query, *key, *value, *gradient;  // the last: of the output; null in the forward pass
};

inline HeadMaps MapsOf(const AttentionShape& shape, const HeadMaps& all, int64_t map) {
  const int64_t image = map / shape.heads, column = map % shape.heads * shape.depth;
  const int64_t queries = image * shape.queries * shape.channels() + column;
  const int64_t keys = image * shape.keys * shape.channels() + column;
  return {all.query + queries, all.key + keys, all.value + keys,
          all.gradient == nullptr ? nullptr : all.gradient + queries};
}

// Of the scores' block: half of a core's L2 cache, so that what is read beside it stays there.
constexpr int64_t kScoreElements = 1 << 15;

template <typename L>
CIRKD_INLINE int64_t BlockOfQueries(const AttentionShape& shape) {
  const int64_t rows = kScoreElements / RoundUp(shape.keys, L::kColumns);
  return std::clamp<int64_t>(rows / L::kRows, 1, 96 / L::kRows) * L::kRows;
}

// out = left * right for `rows` rows, `left_stride` apart; right in panels of `depth` rows. Without `padded`, `out`
// has exactly these rows and columns; with it, whole tiles are written.
template <typename L>
CIRKD_INLINE void Product(const float* left, int64_t left_stride, int64_t rows, const float* panels,
                          int64_t depth, int64_t columns, bool padded, float* out,
                          int64_t out_stride) {
  const float* row[L::kRows];
  for (int64_t first = 0; first < rows; first += L::kRows) {
    const int here = static_cast<int>(std::min<int64_t>(L::kRows, rows - first));
    for (int i = 0; i < L::kRows; ++i) row[i] = left + (first + std::min(i, here - 1)) * left_stride;
    for (int64_t column = 0; column < columns; column += L::kColumns) {
      const int64_t width = std::min<int64_t>(L::kColumns, columns - column);
      const float* const panel = panels + column * depth;
      float* const to = out + first * out_stride + column;
      if (padded || (here == L::kRows && width == L::kColumns)) {
        MatrixTile<L, 1, 2>(row, panel, depth, to, out_stride, false);
      } else {
        EdgeTile<L, 1>(row, panel, depth, to, out_stride, false, here, static_cast<int>(width));
      }
    }
  }
}

// sums += transposed left * right, where left has `rows` rows, `left_stride` apart, and right is in panels of `rows`
// rows. `sums` has whole tiles of rows and columns; so must left have columns. `room`: rows * kRows.
template <typename L>
CIRKD_INLINE void AddTransposedProduct(const float* left, int64_t left_stride, int64_t rows,
                                       int64_t left_columns, const float* panels, int64_t columns,
                                       float* room, float* sums, int64_t sums_stride) {
  const float* row[L::kRows];
  for (int i = 0; i < L::kRows; ++i) row[i] = room + i;
  for (int64_t first = 0; first < left_columns; first += L::kRows) {
    for (int64_t k = 0; k < rows; ++k) {
      for (int i = 0; i < L::kRows; ++i) room[k * L::kRows + i] = left[k * left_stride + first + i];
    }
    for (int64_t column = 0; column < columns; column += L::kColumns) {
      MatrixTile<L, L::kRows, 2>(row, panels + column * rows, rows,
                                 sums + first * sums_stride + column, sums_stride, true);
    }
  }
}

// Rows of products with `keys` columns become shares; the padding becomes 0.
CIRKD_INLINE void SoftmaxRows(int64_t rows, int64_t keys, int64_t stride, float factor,
                              float* scores) {
  for (int64_t row = 0; row < rows; ++row, scores += stride) {
    float largest = scores[0] * factor;
#pragma omp simd reduction(max : largest)
    for (int64_t j = 0; j < keys; ++j) {
      const float score = scores[j] * factor;
      largest = score > largest ? score : largest;
    }
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < keys; ++j) {
      scores[j] = Exp(scores[j] * factor - largest);
      sum += scores[j];
    }
    const float share = 1.0f / sum;
#pragma omp simd
    for (int64_t j = 0; j < keys; ++j) scores[j] *= share;
    for (int64_t j = keys; j < stride; ++j) scores[j] = 0.0f;
  }
}

// Gradients of the shares become those of the products: share * (gradient - sum of gradient * share) * factor.
CIRKD_INLINE void SoftmaxGradientRows(const float* shares, int64_t rows, int64_t keys,
                                      int64_t stride, float factor, float* gradients) {
  for (int64_t row = 0; row < rows; ++row, shares += stride, gradients += stride) {
    float along = 0.0f;
#pragma omp simd reduction(+ : along)
    for (int64_t j = 0; j < keys; ++j) along += gradients[j] * shares[j];
#pragma omp simd
    for (int64_t j = 0; j < keys; ++j) {
      gradients[j] = shares[j] * (gradients[j] - along) * factor;
    }
    for (int64_t j = keys; j < stride; ++j) gradients[j] = 0.0f;
  }
}

// Queries [begin, end) of one head. out: at the head's first channel.
template <typename L>
CIRKD_INLINE void AttendQueries(const AttentionShape& shape, const HeadMaps& maps, int64_t begin,
                                int64_t end, float* out) {
  const int64_t depth = shape.depth, keys = shape.keys, channels = shape.channels();
  const int64_t stride = RoundUp(keys, L::kColumns), block = BlockOfQueries<L>(shape);
  std::vector<float> key_panels(stride * depth);
  std::vector<float> value_panels(keys * RoundUp(depth, L::kColumns));
  std::vector<float> scores(block * stride);
  PackColumns<L>(maps.key, channels, keys, depth, key_panels.data());
  PackRows<L>(maps.value, channels, keys, depth, value_panels.data());
  for (int64_t first = begin; first < end; first += block) {
    const int64_t rows = std::min(block, end - first);
    Product<L>(maps.query + first * channels, channels, rows, key_panels.data(), depth, keys, true,
               scores.data(), stride);
    SoftmaxRows(rows, keys, stride, shape.factor, scores.data());
    Product<L>(scores.data(), stride, rows, value_panels.data(), keys, depth, false,
               out + first * channels, channels);
  }
}

// Sums of the gradients of keys and values over queries: rows for whole tiles of keys, RoundUp(D, kColumns) columns.
struct KeySums {
  std::vector<float> key, value;
};

// dquery of queries [begin, end) of one head, at the head's first channel; adds to `sums`, which are of this size.
template <typename L>
CIRKD_INLINE void AttendGradients(const AttentionShape& shape, const HeadMaps& maps, int64_t begin,
                                  int64_t end, float* dquery, KeySums* sums) {
  const int64_t depth = shape.depth, keys = shape.keys, channels = shape.channels();
  const int64_t width = RoundUp(depth, L::kColumns);
  // Whole tiles of keys as columns and, transposed, as rows.
  const int64_t stride = RoundUp(RoundUp(keys, L::kRows), L::kColumns);
  const int64_t block = BlockOfQueries<L>(shape);
  sums->key.assign(stride * width, 0.0f);
  sums->value.assign(stride * width, 0.0f);
  std::vector<float> key_columns(RoundUp(keys, L::kColumns) * depth), value_columns(key_columns.size());
  std::vector<float> key_panels(keys * width), panels(block * width), room(block * L::kRows);
  std::vector<float> shares(block * stride), gradients(block * stride);
  PackColumns<L>(maps.key, channels, keys, depth, key_columns.data());
  PackColumns<L>(maps.value, channels, keys, depth, value_columns.data());
  PackRows<L>(maps.key, channels, keys, depth, key_panels.data());
  for (int64_t first = begin; first < end; first += block) {
    const int64_t rows = std::min(block, end - first);
    const float* const query = maps.query + first * channels;
    const float* const dy = maps.gradient + first * channels;
    Product<L>(query, channels, rows, key_columns.data(), depth, keys, true, shares.data(), stride);
    SoftmaxRows(rows, keys, stride, shape.factor, shares.data());
    PackRows<L>(dy, channels, rows, depth, panels.data());
    AddTransposedProduct<L>(shares.data(), stride, rows, RoundUp(keys, L::kRows), panels.data(),
                            depth, room.data(), sums->value.data(), width);
    Product<L>(dy, channels, rows, value_columns.data(), depth, keys, true, gradients.data(), stride);
    SoftmaxGradientRows(shares.data(), rows, keys, stride, shape.factor, gradients.data());
    PackRows<L>(query, channels, rows, depth, panels.data());
    AddTransposedProduct<L>(gradients.data(), stride, rows, RoundUp(keys, L::kRows), panels.data(),
                            depth, room.data(), sums->key.data(), width);
    Product<L>(gradients.data(), stride, rows, key_panels.data(), keys, depth, false,
               dquery + first * channels, channels);
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_ATTENTION_H_
