// Levels of vector instructions. What is hand-vectorised is written once, in GCC's and clang's vector
// types, and instantiated for each; the processor's best is taken when the addon runs.
#ifndef CIRKD_NATIVE_LEVEL_H_
#define CIRKD_NATIVE_LEVEL_H_

#include <cstdlib>
#include <string_view>

namespace cirkd {

// Floats a vector, and rows of a tile of a matrix product.
template <int kLanes, int kTileRows>
struct Level {
  static constexpr int kWidth = kLanes;
  static constexpr int kRows = kTileRows;
  static constexpr int kColumns = 2 * kLanes;
  typedef float Vector __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
};
using Wide = Level<16, 8>;   // AVX-512
using Medium = Level<8, 6>;  // AVX2 with FMA
using Narrow = Level<4, 6>;  // SSE, NEON

// In front of a function that is Wide's or Medium's. What it calls must be inlined.
#if defined(__x86_64__)
#define CIRKD_WIDE __attribute__((target("avx512f,fma")))
#define CIRKD_MEDIUM __attribute__((target("avx2,fma")))
#else
#define CIRKD_WIDE
#define CIRKD_MEDIUM
#endif

// Of a table for each level the one for this processor. CIRKD_VECTOR_LEVEL=medium or narrow: at most that
// one, for tests and comparisons.
template <typename Table>
const Table& ForProcessor(const Table& wide, const Table& medium, const Table& narrow) {
#if defined(__x86_64__)
  const char* const given = std::getenv("CIRKD_VECTOR_LEVEL");
  const std::string_view most = given == nullptr ? "" : given;
  if (most == "narrow") return narrow;
  if (most != "medium" && __builtin_cpu_supports("avx512f")) return wide;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return medium;
#endif
  (void)wide;
  (void)medium;
  return narrow;
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_LEVEL_H_
