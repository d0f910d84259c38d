// Tiles of a product of bfloat16 matrices with sums in float32.
//
// A word holds two values of a row of the left matrix, or two of a column of the right one. For each word the product
// of the upper halves is added to the sum first, then that of the lower ones; each sum is rounded to float32. A product of
// two bfloat16 values is exact in float32. This is what AVX-512 BF16's vdpbf16ps computes, and the portable tiles compute
// the same bits; only results below 2^-126, which the instruction makes zero, can differ.
#ifndef CIRKD_NATIVE_BFLOAT16_TILES_H_
#define CIRKD_NATIVE_BFLOAT16_TILES_H_

#include <cstdint>

#include "../level.h"

namespace cirkd {

// Words per row of a left block; the depth of a pass.
constexpr int64_t kPairs = 128;

// out[i][j] (+)= the product of row i of left (kPairs words apart) and column j of panel (rows of the level's kColumns
// words), over `pairs` words, for the level's kRows rows and kColumns columns; rows of out are out_stride apart.
using PairTile = void (*)(const uint32_t* left, const uint32_t* panel, int64_t pairs, float* out,
                          int64_t out_stride, bool add);

// Whether products are computed by the processor's instruction for them, AVX-512 BF16.
bool HasBfloat16Products();

// The fastest tile that the processor has, of the sizes of BestLevel().
PairTile BestPairTile();

// The portable tile of a level, and the processor's own, of the sizes of Wide; null if it has none. For tests.
PairTile PortablePairTile(VectorLevel level);
PairTile ProcessorPairTile();

}  // namespace cirkd

#endif  // CIRKD_NATIVE_BFLOAT16_TILES_H_
