// float32 values rounded to bfloat16, in pairs.
#ifndef CIRKD_NATIVE_BFLOAT16_ROUNDING_H_
#define CIRKD_NATIVE_BFLOAT16_ROUNDING_H_

#include <cstdint>
#include <cstring>

#include "../level.h"

namespace cirkd {

// The nearest bfloat16 value as the bits of a float32: ties to even, NaN stays NaN. Numbers below 2^-126 become zero of
// their sign, as the processor's instructions take them.
CIRKD_INLINE uint32_t RoundedToBfloat16(float value) {
  constexpr uint32_t kSign = 0x80000000u, kUpper = 0xffff0000u;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t magnitude = bits & ~kSign;
  const uint32_t nearest = bits + 0x7fffu + ((bits >> 16) & 1u);
  const uint32_t rounded = magnitude > 0x7f800000u ? bits | 0x00400000u : nearest;
  return (magnitude < 0x00800000u ? bits & kSign : rounded) & kUpper;
}

// A word with `low` in its lower half and `high` in its upper one.
CIRKD_INLINE uint32_t PairOf(float low, float high) {
  return RoundedToBfloat16(low) >> 16 | RoundedToBfloat16(high);
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_BFLOAT16_ROUNDING_H_
