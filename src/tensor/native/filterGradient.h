// The gradient of a convolution with respect to its weights.
#ifndef CIRKD_NATIVE_FILTER_GRADIENT_H_
#define CIRKD_NATIVE_FILTER_GRADIENT_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gatheredProduct.h"

namespace cirkd {

// The number of tiles with `tile_rows` rows (tap, input channel) of the gradient; no tile spans two taps.
inline int64_t FilterTiles(const Gather& gather, int64_t tile_rows) {
  return gather.taps() * ((gather.channels + tile_rows - 1) / tile_rows);
}

// Packs the channels of so many tiles from channel c on, at one tap, as [tile][position][kRows], tiles being `distance`
// apart. The map is read from one end to the other. False if all positions are padding.
template <typename L>
CIRKD_INLINE bool PackTiles(const float* const* rows, int64_t positions, int64_t c, int64_t channels, int64_t tiles,
                            int64_t distance, float* packed) {
  const int64_t whole = std::min(tiles, (channels - c) / L::kRows), rest = channels - c - whole * L::kRows;
  bool alive = false;
  for (int64_t p = 0; p < positions; ++p, packed += L::kRows) {
    float* to = packed;
    if (rows[p] == nullptr) {
      for (int64_t t = 0; t < tiles; ++t, to += distance) std::memset(to, 0, L::kRows * sizeof(float));
      continue;
    }
    alive = true;
    const float* from = rows[p] + c;
    for (int64_t t = 0; t < whole; ++t, to += distance, from += L::kRows) {
      std::memcpy(to, from, L::kRows * sizeof(float));
    }
    if (whole == tiles) continue;
    for (int64_t i = 0; i < L::kRows; ++i) to[i] = i < rest ? from[i] : 0.0f;
  }
  return alive;
}

// A part of the gradient: the rows of tiles [begin, end), columns [first_column, last_column).
struct FilterPart {
  int64_t begin, end;
  int64_t first_column, last_column;
};

// out = kColumns floats, or `width` of them where no more can be read.
template <typename L>
CIRKD_INLINE void CopyColumns(const float* from, int64_t width, bool whole, float* out) {
  if (whole) {
    std::memcpy(out, from, L::kColumns * sizeof(float));
  } else {
    for (int64_t i = 0; i < width; ++i) out[i] = from[i];
  }
}

// dw[tap, c][k] (+)= sum over positions of x[position at tap][c] * dy[position][k]; dy and dw have `stride` columns.
template <typename L>
CIRKD_INLINE void FilterRows(const Gather& gather, const float* whole_dy, int64_t positions, int64_t stride,
                             const FilterPart& part, bool add, float* whole_dw) {
  constexpr int64_t kTiles = 16;
  const int64_t channels = gather.channels, begin = part.begin, end = part.end;
  const int64_t columns = part.last_column - part.first_column;
  float* const dw = whole_dw + part.first_column;
  const int64_t tap_tiles = (channels + L::kRows - 1) / L::kRows;
  const int64_t panels = (columns + L::kColumns - 1) / L::kColumns;
  // A block of dy of about 256 KiB.
  const int64_t block_size = std::clamp<int64_t>((1 << 16) / columns, 64, kBlockRows * 2) / 32 * 32;
  std::vector<float> right(panels * block_size * L::kColumns, 0.0f);
  std::vector<float> left(kTiles * block_size * L::kRows);
  std::vector<const float*> rows(block_size);
  BlockRows block;
  const auto row_of = [&](int64_t tile) {
    return tile / tap_tiles * channels + tile % tap_tiles * L::kRows;
  };
  for (int64_t row = row_of(begin); !add && row < row_of(end); ++row) {
    std::fill(dw + row * stride, dw + row * stride + columns, 0.0f);
  }
  for (int64_t first = 0; first < positions; first += block_size) {
    const int64_t count = std::min(block_size, positions - first);
    for (int64_t p = 0; p < count; ++p) {
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t column = panel * L::kColumns, at = (first + p) * stride + part.first_column + column;
        // The columns behind the last are others' and go nowhere.
        CopyColumns<L>(whole_dy + at, std::min<int64_t>(L::kColumns, columns - column),
                       at + L::kColumns <= positions * stride, right.data() + (panel * block_size + p) * L::kColumns);
      }
    }
    int64_t located = -1;
    for (int64_t tile0 = begin; tile0 < end; tile0 += kTiles) {
      const int64_t tiles = std::min(kTiles, end - tile0);
      bool alive[kTiles];
      for (int64_t i = 0; i < tiles;) {
        const int64_t tap = (tile0 + i) / tap_tiles, tile = (tile0 + i) % tap_tiles;
        const int64_t together = std::min(tiles - i, tap_tiles - tile);
        if (tap != located) {
          for (int64_t p0 = 0; p0 < count; p0 += kBlockRows) {
            const int64_t here = std::min(kBlockRows, count - p0);
            block.Locate(gather, first + p0, here);
            for (int64_t p = 0; p < here; ++p) rows[p0 + p] = block.At(gather, p, tap);
          }
          located = tap;
        }
        const bool any = PackTiles<L>(rows.data(), count, tile * L::kRows, channels, together, block_size * L::kRows,
                                      left.data() + i * block_size * L::kRows);
        std::fill(alive + i, alive + i + together, any);
        i += together;
      }
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t column = panel * L::kColumns;
        const int64_t width = std::min<int64_t>(L::kColumns, columns - column);
        const float* const b = right.data() + panel * block_size * L::kColumns;
        for (int64_t i = 0; i < tiles; ++i) {
          if (!alive[i]) continue;
          const float* a[L::kRows];
          for (int64_t r = 0; r < L::kRows; ++r) a[r] = left.data() + i * block_size * L::kRows + r;
          const int64_t c = (tile0 + i) % tap_tiles * L::kRows;
          float* const to = dw + row_of(tile0 + i) * stride + column;
          if (width == L::kColumns && c + L::kRows <= channels) {
            MatrixTile<L, L::kRows, 2>(a, b, count, to, stride, true);
          } else {
            EdgeTile<L, L::kRows>(a, b, count, to, stride, true,
                                  static_cast<int>(std::min<int64_t>(L::kRows, channels - c)),
                                  static_cast<int>(width));
          }
        }
      }
    }
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_FILTER_GRADIENT_H_
