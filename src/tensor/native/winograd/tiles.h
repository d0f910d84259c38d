// The tiles into which Winograd's algorithm cuts a map, and their transforms.
//
// A dilated convolution is one without dilation on each of dilation x dilation interleaved grids of the map: a tile's
// positions are `dilation` apart.
#ifndef CIRKD_NATIVE_WINOGRAD_TILES_H_
#define CIRKD_NATIVE_WINOGRAD_TILES_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "transform.h"

namespace cirkd {

// The first output's image, row and column.
struct WinogradTile {
  int64_t image, y, x;
};

// Each output position is in one tile.
struct TileGrid {
  int64_t images, height, width;  // of the output
  int64_t dilation;
  int64_t outputs;  // along a tile's side

  // Tiles along an axis, of all its grids.
  int64_t Along(int64_t length) const {
    const int64_t step = dilation * outputs;
    return length / step * dilation + std::min(length % step, dilation);
  }
  int64_t Count() const { return images * Along(height) * Along(width); }
  // Of a transformed tile: the products of a pair of channels.
  int64_t Points() const { return (outputs + kTaps - 1) * (outputs + kTaps - 1); }

  // The first position of tile `index` along an axis.
  int64_t First(int64_t index) const {
    return index / dilation * dilation * outputs + index % dilation;
  }

  WinogradTile At(int64_t tile) const {
    const int64_t rows = Along(height), columns = Along(width);
    return {tile / (rows * columns), First(tile / columns % rows), First(tile % columns)};
  }
};

// A map, channels last.
struct TiledMap {
  const float* values;
  int64_t height, width, channels;

  // The channels at a position, or null outside of the map.
  const float* At(int64_t image, int64_t y, int64_t x) const {
    if (y < 0 || y >= height || x < 0 || x >= width) return nullptr;
    return values + ((image * height + y) * width + x) * channels;
  }
};

// out = channels [c, c + kWidth), zeros from `channels` on.
template <typename L>
CIRKD_INLINE void LoadChannels(const float* at, int64_t c, int64_t channels, typename L::Vector* out) {
  typedef typename L::Vector Vector;
  if (at == nullptr) {
    *out = Vector{};
  } else if (c + L::kWidth <= channels) {
    *out = *reinterpret_cast<const Vector*>(at + c);
  } else {
    float part[L::kWidth] = {};
    for (int64_t i = 0; c + i < channels; ++i) part[i] = at[c + i];
    *out = *reinterpret_cast<const Vector*>(part);
  }
}

// The same to memory, for as many channels as there are.
template <typename L>
CIRKD_INLINE void StoreChannels(const typename L::Vector& value, float* at, int64_t c, int64_t channels) {
  if (c + L::kWidth <= channels) {
    *reinterpret_cast<typename L::Vector*>(at + c) = value;
    return;
  }
  float part[L::kWidth];
  *reinterpret_cast<typename L::Vector*>(part) = value;
  for (int64_t i = 0; c + i < channels; ++i) at[c + i] = part[i];
}

// The transformed tiles of a block: [point][tile][channel], a point being a pair of Winograd's.
struct TransformedTiles {
  float* values;
  int64_t point_stride, row_stride;

  float* At(int64_t point, int64_t tile) const {
    return values + point * point_stride + tile * row_stride;
  }
  TransformedTiles From(int64_t tile) const { return {At(0, tile), point_stride, row_stride}; }
};

// The distance between rows of a block: a vector more than they need, as rows at distances of powers of two push
// each other out of the cache.
constexpr int64_t RowStride(int64_t channels) { return (channels + 15) / 16 * 16 + 16; }

// The distance between points, for the same reason an odd number of lines.
constexpr int64_t PointStride(int64_t rows, int64_t row_stride) { return ((rows * row_stride + 15) / 16 | 1) * 16; }

template <typename W, bool kInput, typename V>
CIRKD_INLINE void Along(const V* in, V* out) {
  if constexpr (kInput) {
    W::Input(in, out);
  } else {
    W::OutputGradient(in, out);
  }
}

// Input or OutputGradient of tiles [begin, end) and channels [c0, c1) of a map, whose first position is that of the
// tile moved by (dy, dx). kInput: the first of the two.
template <typename L, int kOutputs, bool kInput>
CIRKD_INLINE void TransformTiles(const TileGrid& grid, const TiledMap& map, int64_t dy, int64_t dx, int64_t begin,
                                 int64_t end, int64_t c0, int64_t c1, const TransformedTiles& to) {
  typedef typename L::Vector Vector;
  typedef Winograd<kOutputs> W;
  constexpr int kFrom = kInput ? W::kSide : kOutputs;
  for (int64_t tile = begin; tile < end; ++tile) {
    const WinogradTile at = grid.At(tile);
    const float* from[kFrom * kFrom];
    for (int i = 0; i < kFrom; ++i) {
      for (int j = 0; j < kFrom; ++j) {
        const int64_t y = at.y + dy + i * grid.dilation, x = at.x + dx + j * grid.dilation;
        from[i * kFrom + j] = map.At(at.image, y, x);
      }
    }
    for (int64_t c = c0; c < c1; c += L::kWidth) {
      Vector half[W::kSide * kFrom];
#pragma GCC unroll 6
      for (int j = 0; j < kFrom; ++j) {
        Vector column[kFrom], got[W::kSide];
#pragma GCC unroll 6
        for (int i = 0; i < kFrom; ++i) LoadChannels<L>(from[i * kFrom + j], c, map.channels, &column[i]);
        Along<W, kInput>(column, got);
#pragma GCC unroll 6
        for (int i = 0; i < W::kSide; ++i) half[i * kFrom + j] = got[i];
      }
      float* const first = to.At(0, tile - begin) + (c - c0);
#pragma GCC unroll 6
      for (int i = 0; i < W::kSide; ++i) {
        Vector got[W::kSide];
        Along<W, kInput>(half + i * kFrom, got);
#pragma GCC unroll 6
        for (int j = 0; j < W::kSide; ++j) {
          *reinterpret_cast<Vector*>(first + (i * W::kSide + j) * to.point_stride) = got[j];
        }
      }
    }
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_WINOGRAD_TILES_H_
