#include "convolution.h"

#include <algorithm>
#include <memory>

#include "../threadPool.h"
#include "../winograd/choice.h"
#include "rounding.h"
#include "tiles.h"

namespace cirkd {
namespace {

// With fewer input channels, the rounding costs more than it saves.
constexpr int64_t kFewestInputs = 16;
// Output positions of a block: rounded, a tap's kDepth channels of them fit into a core's L2 cache.
constexpr int64_t kBlock = 96;
// Channels per pass. Word p of a pass of d channels holds its channels p (lower half) and p + ceil(d / 2).
constexpr int64_t kDepth = 2 * kPairs;

constexpr int64_t PairsOf(int64_t channels) { return (channels + 1) / 2; }

// Words per tap and column of packed weights with all passes.
constexpr int64_t WordsPerTap(int64_t channels) {
  return channels / kDepth * kPairs + PairsOf(channels % kDepth);
}

// The places of a block's output positions in the input.
struct Places {
  int64_t y[kBlock], x[kBlock];
  const float* image[kBlock];

  Places(const ConvolutionShape& shape, const float* input, int64_t first, int64_t count) {
    const int64_t area = shape.out_height * shape.out_width;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t n = (first + i) / area, rest = (first + i) % area;
      y[i] = rest / shape.out_width * shape.stride - shape.padding_rows;
      x[i] = rest % shape.out_width * shape.stride - shape.padding_columns;
      image[i] = input + n * shape.height * shape.width * shape.inputs;
    }
  }

  // The channels that output position i meets at a tap; null outside the map.
  const float* At(const ConvolutionShape& shape, int64_t i, int64_t tap) const {
    const int64_t at_y = y[i] + tap / shape.tap_columns * shape.dilation;
    const int64_t at_x = x[i] + tap % shape.tap_columns * shape.dilation;
    if (at_y < 0 || at_y >= shape.height || at_x < 0 || at_x >= shape.width) return nullptr;
    return image[i] + (at_y * shape.width + at_x) * shape.inputs;
  }
};

// d channels as a pass's words.
CIRKD_INLINE void PackRow(const float* row, int64_t d, uint32_t* words) {
  const int64_t pairs = PairsOf(d);
#pragma omp simd
  for (int64_t p = 0; p < d - pairs; ++p) words[p] = PairOf(row[p], row[pairs + p]);
  if (d % 2 != 0) words[pairs - 1] = PairOf(row[pairs - 1], 0.0f);
}

// A tile at the edge, by means of a whole one.
template <typename L>
CIRKD_INLINE void EdgePairTile(PairTile tile, const uint32_t* left, const uint32_t* panel, int64_t pairs,
                               float* out, int64_t out_stride, bool add, int64_t row_count,
                               int64_t columns) {
  float whole[L::kRows * L::kColumns];
  tile(left, panel, pairs, whole, L::kColumns, false);
  for (int64_t i = 0; i < row_count; ++i) {
    float* const to = out + i * out_stride;
    const float* const from = whole + i * L::kColumns;
    for (int64_t j = 0; j < columns; ++j) to[j] = add ? to[j] + from[j] : from[j];
  }
}

// A block's left matrix at one tap and pass, and which of its tiles have a position on the map.
template <typename L>
struct LeftBlock {
  static constexpr int64_t kTiles = kBlock / L::kRows;
  static_assert(kBlock % L::kRows == 0, "whole tiles");
  uint32_t words[kBlock * kPairs];
  bool alive[kTiles], written[kTiles];
};

// The products of a block with all columns, at one tap and pass.
template <typename L>
CIRKD_INLINE void MultiplyBlock(PairTile tile, const LeftBlock<L>& left, const uint32_t* panels,
                                int64_t panel_words, int64_t pairs, int64_t count, int64_t columns,
                                float* out) {
  const int64_t tiles = (count + L::kRows - 1) / L::kRows;
  for (int64_t column = 0; column < columns; column += L::kColumns, panels += panel_words) {
    const int64_t width = std::min<int64_t>(L::kColumns, columns - column);
    for (int64_t t = 0; t < tiles; ++t) {
      if (!left.alive[t]) continue;
      const int64_t row = t * L::kRows, rows = std::min<int64_t>(L::kRows, count - row);
      float* const to = out + row * columns + column;
      const uint32_t* const from = left.words + row * kPairs;
      if (width == L::kColumns && rows == L::kRows) {
        tile(from, panels, pairs, to, columns, left.written[t]);
      } else {
        EdgePairTile<L>(tile, from, panels, pairs, to, columns, left.written[t], rows, width);
      }
    }
  }
}

// Output positions [begin, end). panels: the weights as PackWeights leaves them.
template <typename L>
CIRKD_INLINE void PairRows(PairTile tile, const ConvolutionShape& shape, const float* x,
                           const uint32_t* panels, int64_t begin, int64_t end, const Epilogue* epilogue,
                           float* y) {
  const int64_t taps = shape.taps(), channels = shape.inputs, columns = shape.outputs;
  const int64_t tap_words = WordsPerTap(channels) * L::kColumns;
  const std::unique_ptr<LeftBlock<L>> left(new LeftBlock<L>);
  const float* rows[kBlock];
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t count = std::min(kBlock, end - first);
    const int64_t tiles = (count + L::kRows - 1) / L::kRows;
    const Places places(shape, x, first, count);
    std::fill(left->written, left->written + tiles, false);
    for (int64_t tap = 0; tap < taps; ++tap) {
      std::fill(left->alive, left->alive + tiles, false);
      for (int64_t i = 0; i < tiles * L::kRows; ++i) {
        rows[i] = i < count ? places.At(shape, i, tap) : nullptr;
        left->alive[i / L::kRows] |= rows[i] != nullptr;
      }
      for (int64_t c = 0; c < channels; c += kDepth) {
        const int64_t depth = std::min(kDepth, channels - c), pairs = PairsOf(depth);
        for (int64_t i = 0; i < tiles * L::kRows; ++i) {
          uint32_t* const words = left->words + i * kPairs;
          if (!left->alive[i / L::kRows]) continue;
          if (rows[i] == nullptr) std::fill(words, words + pairs, 0u);
          else PackRow(rows[i] + c, depth, words);
        }
        const uint32_t* const from = panels + tap * tap_words + c / 2 * L::kColumns;
        MultiplyBlock<L>(tile, *left, from, taps * tap_words, pairs, count, columns, y + first * columns);
        for (int64_t t = 0; t < tiles; ++t) left->written[t] |= left->alive[t];
      }
    }
    for (int64_t t = 0; t < tiles; ++t) {
      if (left->written[t]) continue;
      const int64_t row = first + t * L::kRows, last = std::min(row + L::kRows, end);
      std::fill(y + row * columns, y + last * columns, 0.0f);
    }
    if (epilogue != nullptr) Finish(*epilogue, columns, first, count, y);
  }
}

// One panel of weights [R, S, C, K]: columns [first, first + width) as [tap][pass][word] rows of `tile_columns`.
CIRKD_VECTORISED void PackPanel(const float* weights, int64_t taps, int64_t channels, int64_t outputs,
                                int64_t first, int64_t width, int64_t tile_columns, uint32_t* to) {
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t c = 0; c < channels; c += kDepth) {
      const int64_t depth = std::min(kDepth, channels - c), pairs = PairsOf(depth);
      for (int64_t p = 0; p < pairs; ++p, to += tile_columns) {
        const float* const low = weights + (tap * channels + c + p) * outputs + first;
        const float* const high = low + pairs * outputs;
        if (pairs + p < depth) {
          for (int64_t j = 0; j < width; ++j) to[j] = PairOf(low[j], high[j]);
        } else {
          for (int64_t j = 0; j < width; ++j) to[j] = PairOf(low[j], 0.0f);
        }
        for (int64_t j = width; j < tile_columns; ++j) to[j] = 0;
      }
    }
  }
}

std::unique_ptr<uint32_t[]> PackWeights(const ConvolutionShape& shape, const float* weights,
                                        int64_t tile_columns) {
  const int64_t panels = (shape.outputs + tile_columns - 1) / tile_columns;
  const int64_t panel_words = shape.taps() * WordsPerTap(shape.inputs) * tile_columns;
  std::unique_ptr<uint32_t[]> packed(new uint32_t[panels * panel_words]);
  const int parts = PartsFor(panels, panels * panel_words);
  Pool::Get().Run(parts, [&](int part) {
    for (int64_t panel = panels * part / parts; panel < panels * (part + 1) / parts; ++panel) {
      const int64_t first = panel * tile_columns;
      PackPanel(weights, shape.taps(), shape.inputs, shape.outputs, first,
                std::min(tile_columns, shape.outputs - first), tile_columns,
                packed.get() + panel * panel_words);
    }
  });
  return packed;
}

CIRKD_AT_BEST_LEVEL(PairRowsAtBest, PairRows)

// Parts of about a million multiplications or more, several for each thread, so that a delayed one delays little. The
// result doesn't depend on their number.
int PartsOf(int64_t blocks, double multiplications) {
  constexpr int kPartsPerThread = 4;
  const int64_t useful = static_cast<int64_t>(std::min(multiplications / (1 << 20), 1e6));
  const int64_t most = kPartsPerThread * Pool::Get().size();
  return static_cast<int>(std::max<int64_t>(1, std::min({useful, blocks, most})));
}

}  // namespace

bool IsBfloat16Shape(const ConvolutionShape& shape) {
  return shape.inputs >= kFewestInputs && WinogradOutputs(shape, Pass::kForward) != 4;
}

void Bfloat16Forward(const ConvolutionShape& shape, const float* x, const float* weights,
                     const Epilogue* epilogue, float* y) {
  if (!IsBfloat16Shape(shape)) return ConvolutionForward(shape, x, weights, epilogue, y);
  const auto panels = PackWeights(shape, weights, BestTile().columns);
  const int64_t rows = shape.out_positions(), blocks = (rows + kBlock - 1) / kBlock;
  const double work = 1.0 * rows * shape.outputs * shape.taps() * shape.inputs;
  const int parts = PartsOf(blocks, work);
  const PairTile tile = BestPairTile();
  const uint32_t* const packed = panels.get();
  Pool::Get().Run(parts, [&](int part) {
    const int64_t begin = blocks * part / parts * kBlock;
    const int64_t end = std::min(rows, blocks * (part + 1) / parts * kBlock);
    PairRowsAtBest(tile, shape, x, packed, begin, end, epilogue, y);
  });
}

}  // namespace cirkd
