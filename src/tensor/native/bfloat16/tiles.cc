#include "tiles.h"

#include <cstring>

// Older compilers don't know the instruction; then it isn't used.
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 10 : __GNUC__ >= 10)
#define CIRKD_HAS_AVX512_BF16 1
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace cirkd {
namespace {

CIRKD_INLINE float UpperOf(uint32_t word) {
  const uint32_t bits = word & 0xffff0000u;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

CIRKD_INLINE float LowerOf(uint32_t word) { return UpperOf(word << 16); }

// Contraction to fused multiply-adds changes nothing, as the products are exact.
template <typename L>
CIRKD_INLINE void Portable(const uint32_t* left, const uint32_t* panel, int64_t pairs, float* out,
                           int64_t out_stride, bool add) {
  typedef typename L::Vector Vector;
  typedef uint32_t Words __attribute__((vector_size(L::kWidth * 4), aligned(4), may_alias));
  typedef float Floats __attribute__((vector_size(L::kWidth * 4)));
  Vector sum[L::kRows][2];
  for (int i = 0; i < L::kRows; ++i) sum[i][0] = sum[i][1] = Vector{};
  for (int64_t k = 0; k < pairs; ++k, panel += L::kColumns) {
    Vector upper[2], lower[2];
    for (int v = 0; v < 2; ++v) {
      const Words words = *reinterpret_cast<const Words*>(panel + v * L::kWidth);
      upper[v] = reinterpret_cast<Floats>(words & 0xffff0000u);
      lower[v] = reinterpret_cast<Floats>(words << 16);
    }
    for (int i = 0; i < L::kRows; ++i) {
      const uint32_t word = left[i * kPairs + k];
      for (int v = 0; v < 2; ++v) {
        sum[i][v] += UpperOf(word) * upper[v];
        sum[i][v] += LowerOf(word) * lower[v];
      }
    }
  }
  for (int i = 0; i < L::kRows; ++i) {
    for (int v = 0; v < 2; ++v) {
      Vector* const at = reinterpret_cast<Vector*>(out + i * out_stride + v * L::kWidth);
      *at = add ? *at + sum[i][v] : sum[i][v];
    }
  }
}

#if defined(__x86_64__)
CIRKD_FOR_WIDE void PortableWide(const uint32_t* left, const uint32_t* panel, int64_t pairs,
                                 float* out, int64_t out_stride, bool add) {
  Portable<Wide>(left, panel, pairs, out, out_stride, add);
}

CIRKD_FOR_MEDIUM void PortableMedium(const uint32_t* left, const uint32_t* panel, int64_t pairs,
                                     float* out, int64_t out_stride, bool add) {
  Portable<Medium>(left, panel, pairs, out, out_stride, add);
}
#endif

void PortableNarrow(const uint32_t* left, const uint32_t* panel, int64_t pairs, float* out,
                    int64_t out_stride, bool add) {
  Portable<Narrow>(left, panel, pairs, out, out_stride, add);
}

#ifdef CIRKD_HAS_AVX512_BF16
__attribute__((target("avx512f,avx512bf16"))) void Avx512Bf16(const uint32_t* left, const uint32_t* panel,
                                                             int64_t pairs, float* out,
                                                             int64_t out_stride, bool add) {
  __m512 sum[Wide::kRows][2];
  for (int i = 0; i < Wide::kRows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  for (int64_t k = 0; k < pairs; ++k, panel += Wide::kColumns) {
    const __m512bh right[2] = {reinterpret_cast<__m512bh>(_mm512_loadu_si512(panel)),
                               reinterpret_cast<__m512bh>(_mm512_loadu_si512(panel + Wide::kWidth))};
    for (int i = 0; i < Wide::kRows; ++i) {
      const __m512bh both =
          reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(left[i * kPairs + k])));
      for (int v = 0; v < 2; ++v) sum[i][v] = _mm512_dpbf16_ps(sum[i][v], both, right[v]);
    }
  }
  for (int i = 0; i < Wide::kRows; ++i) {
    for (int v = 0; v < 2; ++v) {
      float* const at = out + i * out_stride + v * Wide::kWidth;
      const __m512 before = add ? _mm512_loadu_ps(at) : _mm512_setzero_ps();
      _mm512_storeu_ps(at, add ? _mm512_add_ps(before, sum[i][v]) : sum[i][v]);
    }
  }
}

// CPUID leaf 7, subleaf 1: bit 5 of eax. That the system keeps the registers is known from AVX-512 F.
bool ProcessorHasAvx512Bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx512f") && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax >> 5 & 1u) != 0;
}
#endif

}  // namespace

PairTile PortablePairTile([[maybe_unused]] VectorLevel level) {
#if defined(__x86_64__)
  if (level == VectorLevel::kWide) return PortableWide;
  if (level == VectorLevel::kMedium) return PortableMedium;
#endif
  return PortableNarrow;
}

PairTile ProcessorPairTile() {
#ifdef CIRKD_HAS_AVX512_BF16
  static const bool has = ProcessorHasAvx512Bf16();
  if (has) return Avx512Bf16;
#endif
  return nullptr;
}

bool HasBfloat16Products() {
  return BestLevel() == VectorLevel::kWide && ProcessorPairTile() != nullptr;
}

PairTile BestPairTile() {
  return HasBfloat16Products() ? ProcessorPairTile() : PortablePairTile(BestLevel());
}

}  // namespace cirkd
