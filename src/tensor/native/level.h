// Levels of vector instructions. Each kernel is written once and compiled for three levels; the copy
// that suits the processor is chosen at run time. On 64-bit Arm there is one level, NEON, which every such
// processor has. CIRKD_AT_BEST_LEVEL is for kernels with GCC's and
// clang's vector types, CIRKD_VECTORISED for those whose loops the compiler vectorises.
#ifndef CIRKD_NATIVE_LEVEL_H_
#define CIRKD_NATIVE_LEVEL_H_

#include <cstdint>
#include <cstdlib>
#include <string_view>

// Functions called by a kernel must be inlined into each of its copies: compiled separately, they would
// use the instructions of the narrowest level.
#define CIRKD_INLINE inline __attribute__((always_inline))

// Attribute of a function without vector types: it is compiled once per level, and the loader picks the
// best copy. Processor names aren't used, because GCC matches them against exactly these models.
#if defined(__x86_64__) && defined(__clang__) && __clang_major__ >= 14
#define CIRKD_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define CIRKD_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CIRKD_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CIRKD_VECTORISED
#endif

#if defined(__x86_64__)
#define CIRKD_FOR_WIDE __attribute__((target("avx512f,fma")))
#define CIRKD_FOR_MEDIUM __attribute__((target("avx2,fma")))
#endif

// Defines name(arguments...), which calls function<L>(arguments...), a CIRKD_INLINE template, with L for
// BestLevel().
#if defined(__x86_64__)
#define CIRKD_AT_BEST_LEVEL(name, function)                                       \
  template <typename... Arguments>                                                \
  CIRKD_FOR_WIDE void name##Wide(const Arguments&... arguments) {                 \
    function<Wide>(arguments...);                                                 \
  }                                                                               \
  template <typename... Arguments>                                                \
  CIRKD_FOR_MEDIUM void name##Medium(const Arguments&... arguments) {             \
    function<Medium>(arguments...);                                               \
  }                                                                               \
  template <typename... Arguments>                                                \
  void name##Narrow(const Arguments&... arguments) {                              \
    function<Narrow>(arguments...);                                               \
  }                                                                               \
  template <typename... Arguments>                                                \
  void name(const Arguments&... arguments) {                                      \
    switch (BestLevel()) {                                                        \
      case VectorLevel::kWide:                                                    \
        return name##Wide(arguments...);                                          \
      case VectorLevel::kMedium:                                                  \
        return name##Medium(arguments...);                                        \
      case VectorLevel::kNarrow:                                                  \
        return name##Narrow(arguments...);                                        \
    }                                                                             \
  }
#else
#define CIRKD_AT_BEST_LEVEL(name, function)  \
  template <typename... Arguments>           \
  void name(const Arguments&... arguments) { \
    function<Narrow>(arguments...);          \
  }
#endif

namespace cirkd {

// Floats per vector, and rows per tile of a matrix product.
template <int kLanes, int kTileRows>
struct Level {
  static constexpr int kWidth = kLanes;
  static constexpr int kRows = kTileRows;
  static constexpr int kColumns = 2 * kLanes;
  typedef float Vector __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
};
using Wide = Level<16, 8>;   // AVX-512
using Medium = Level<8, 6>;  // AVX2 with FMA
#if defined(__aarch64__)
using Narrow = Level<4, 8>;  // NEON: a tile's sums take half of its 32 registers
#else
using Narrow = Level<4, 6>;  // SSE
#endif

enum class VectorLevel { kWide, kMedium, kNarrow };

// The processor's level, or a lower one set by CIRKD_VECTOR_LEVEL=medium or narrow for tests and comparisons.
// Decided at the first call. Functions marked CIRKD_VECTORISED ignore the variable.
inline VectorLevel BestLevel() {
  static const VectorLevel best = [] {
#if defined(__x86_64__)
    const char* const given = std::getenv("CIRKD_VECTOR_LEVEL");
    const std::string_view most = given == nullptr ? "" : given;
    if (most == "narrow") return VectorLevel::kNarrow;
    if (most != "medium" && __builtin_cpu_supports("avx512f")) return VectorLevel::kWide;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return VectorLevel::kMedium;
#endif
    return VectorLevel::kNarrow;
  }();
  return best;
}

// The tile size of matrix products at the chosen level.
struct TileSize {
  int64_t rows, columns;
};

inline TileSize BestTile() {
  switch (BestLevel()) {
    case VectorLevel::kWide:
      return {Wide::kRows, Wide::kColumns};
    case VectorLevel::kMedium:
      return {Medium::kRows, Medium::kColumns};
    case VectorLevel::kNarrow:
      break;
  }
  return {Narrow::kRows, Narrow::kColumns};
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_LEVEL_H_
