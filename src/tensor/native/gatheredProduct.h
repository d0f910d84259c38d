// A matrix product whose left rows are scattered over a map: for convolutions and their gradients with
// respect to the input.
#ifndef CIRKD_NATIVE_GATHERED_PRODUCT_H_
#define CIRKD_NATIVE_GATHERED_PRODUCT_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "activation.h"
#include "matrixTile.h"

namespace cirkd {

// At a tap, output position (n, y, x) uses the source's position (n, y * stride + tap_y[tap],
// x * stride + tap_x[tap]), or zeros if that is outside the map.
struct Gather {
  const float* source;
  int64_t height, width, channels;  // of the source
  int64_t out_height, out_width;
  int64_t stride;
  std::vector<int64_t> tap_y, tap_x;

  int64_t taps() const { return static_cast<int64_t>(tap_y.size()); }
};

// Rows per block: with kDepth channels they fit into a core's L2 cache.
constexpr int64_t kBlockRows = 96;
// Channels per pass: a panel with as many rows fits into the L1 cache.
constexpr int64_t kDepth = 256;

// The places of a block's rows in the source.
struct BlockRows {
  int64_t y[kBlockRows], x[kBlockRows];
  const float* image[kBlockRows];

  void Locate(const Gather& gather, int64_t first, int64_t count) {
    const int64_t area = gather.out_height * gather.out_width, size = gather.height * gather.width * gather.channels;
    // Counted, as divisions for each row would take as long as short sums.
    int64_t row = first % area / gather.out_width, column = first % gather.out_width;
    const float* from = gather.source + first / area * size;
    for (int64_t i = 0; i < count; ++i) {
      y[i] = row * gather.stride;
      x[i] = column * gather.stride;
      image[i] = from;
      if (++column < gather.out_width) continue;
      column = 0;
      if (++row < gather.out_height) continue;
      row = 0;
      from += size;
    }
  }

  const float* At(const Gather& gather, int64_t i, int64_t tap) const {
    const int64_t at_y = y[i] + gather.tap_y[tap], at_x = x[i] + gather.tap_x[tap];
    if (at_y < 0 || at_y >= gather.height || at_x < 0 || at_x >= gather.width) return nullptr;
    return image[i] + (at_y * gather.width + at_x) * gather.channels;
  }
};

// Some columns of output rows [begin, end). panels: these columns of the right matrix as [panel][tap][channel]
// rows of kColumns; the padding of the last panel may be any finite value. epilogue: may be null.
template <typename L>
CIRKD_INLINE void GatheredRows(const Gather& gather, const float* panels, const Columns& columns,
                               int64_t begin, int64_t end, const Epilogue* epilogue,
                               float* out) {
  static_assert(kBlockRows % L::kRows == 0, "whole tiles");
  constexpr int64_t kTiles = kBlockRows / L::kRows;
  const int64_t taps = gather.taps(), channels = gather.channels;
  const std::vector<float> zeros(channels, 0.0f);
  BlockRows block;
  const float* rows[kBlockRows];
  const float* shifted[kBlockRows];
  bool alive[kTiles], written[kTiles];
  for (int64_t first = begin; first < end; first += kBlockRows) {
    const int64_t count = std::min(kBlockRows, end - first);
    const int64_t tiles = (count + L::kRows - 1) / L::kRows;
    block.Locate(gather, first, count);
    std::fill(written, written + tiles, false);
    for (int64_t tap = 0; tap < taps; ++tap) {
      std::fill(alive, alive + tiles, false);
      for (int64_t i = 0; i < tiles * L::kRows; ++i) {
        const float* const row = i < count ? block.At(gather, i, tap) : nullptr;
        rows[i] = row == nullptr ? zeros.data() : row;
        alive[i / L::kRows] |= row != nullptr;
      }
      for (int64_t c = 0; c < channels; c += kDepth) {
        const int64_t depth = std::min(kDepth, channels - c);
        for (int64_t i = 0; i < tiles * L::kRows; ++i) shifted[i] = rows[i] + c;
        for (int64_t column = 0; column < columns.count; column += L::kColumns) {
          const int64_t width = std::min<int64_t>(L::kColumns, columns.count - column);
          const float* const panel = panels + column * taps * channels +
                                     (tap * channels + c) * L::kColumns;
          for (int64_t tile = 0; tile < tiles; ++tile) {
            if (!alive[tile]) continue;
            const int64_t row = tile * L::kRows;
            float* const to = out + (first + row) * columns.all + columns.first + column;
            if (width == L::kColumns && row + L::kRows <= count) {
              MatrixTile<L, 1, 2>(shifted + row, panel, depth, to, columns.all, written[tile]);
            } else {
              const int here = static_cast<int>(std::min<int64_t>(L::kRows, count - row));
              EdgeTile<L, 1>(shifted + row, panel, depth, to, columns.all, written[tile], here,
                             static_cast<int>(width));
            }
          }
        }
        for (int64_t tile = 0; tile < tiles; ++tile) written[tile] |= alive[tile];
      }
    }
    for (int64_t tile = 0; tile < tiles; ++tile) {
      if (written[tile]) continue;
      const int64_t row = first + tile * L::kRows, last = std::min(row + L::kRows, end);
      for (int64_t i = row; i < last; ++i) {
        float* const to = out + i * columns.all + columns.first;
        std::fill(to, to + columns.count, 0.0f);
      }
    }
    if (epilogue != nullptr) Finish(*epilogue, columns, first, count, out);
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_GATHERED_PRODUCT_H_
