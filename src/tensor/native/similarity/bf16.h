// Products of factors rounded to bfloat16, with sums in float32: twice as many per instruction, on x86 processors
// with AVX512_BF16. Two bfloat16 of the summed dimension are a word: the one with the lower index in the low half.
#ifndef CIRKD_NATIVE_SIMILARITY_BF16_H_
#define CIRKD_NATIVE_SIMILARITY_BF16_H_

#include "../bfloat16/tiles.h"
#include "unit.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#define CIRKD_BF16 1
#include <immintrin.h>
#define CIRKD_FOR_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,fma")))
#else
#define CIRKD_BF16 0
#endif

namespace cirkd {

#if CIRKD_BF16

inline bool HasBf16() { return HasBfloat16Products(); }

constexpr int64_t kBf16Rows = Wide::kRows, kBf16Columns = Wide::kColumns;

constexpr int64_t WordsOf(int64_t length) { return (length + 1) / 2; }

CIRKD_FOR_BF16 inline uint32_t Word(float low, float high) {
  const __m128bh both = _mm_cvtne2ps_pbh(_mm_set_ss(high), _mm_set_ss(low));
  const __m128i bits = reinterpret_cast<const __m128i&>(both);
  // The low operand's bfloat16 are elements 0 to 3, the high one's 4 to 7.
  return static_cast<uint32_t>(_mm_extract_epi16(bits, 0)) |
         static_cast<uint32_t>(_mm_extract_epi16(bits, 4)) << 16;
}

// Keys as panels for Bf16Similarities, divided by the temperature: [panel][word][key].
CIRKD_FOR_BF16 inline void PackKeysBf16(const float* keys, int64_t count, int64_t channels,
                                        float inverse_temperature, uint32_t* panels) {
  for (int64_t first = 0; first < count; first += kBf16Columns) {
    for (int64_t c = 0; c < channels; c += 2) {
      for (int64_t j = 0; j < kBf16Columns; ++j) {
        const float* const key = keys + (first + j) * channels + c;
        const bool is_key = first + j < count;
        const float low = is_key ? key[0] * inverse_temperature : 0.0f;
        const float high = is_key && c + 1 < channels ? key[1] * inverse_temperature : 0.0f;
        *panels++ = Word(low, high);
      }
    }
  }
}

// The same keys as panels for AddToRowsBf16: [panel of channels][word of two keys][channel].
CIRKD_FOR_BF16 inline void PackRowsBf16(const float* keys, int64_t count, int64_t channels,
                                        uint32_t* panels) {
  for (int64_t first = 0; first < channels; first += kBf16Columns) {
    for (int64_t k = 0; k < count; k += 2) {
      for (int64_t c = first; c < first + kBf16Columns; ++c) {
        const float* const key = keys + k * channels + c;
        const bool is_channel = c < channels;
        const float low = is_channel ? key[0] : 0.0f;
        const float high = is_channel && k + 1 < count ? key[channels] : 0.0f;
        *panels++ = Word(low, high);
      }
    }
  }
}

// Rows of floats as rows of words; a missing last half is 0.
CIRKD_FOR_BF16 inline void RoundRows(const float* from, int64_t from_stride, int64_t rows,
                                     int64_t length, int64_t to_stride, uint32_t* to) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* const x = from + i * from_stride;
    uint32_t* const words = to + i * to_stride;
    int64_t k = 0;
    for (; k + 32 <= length; k += 32) {
      const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + k + 16), _mm512_loadu_ps(x + k));
      _mm512_storeu_si512(words + k / 2, reinterpret_cast<const __m512i&>(both));
    }
    for (; k < length; k += 2) words[k / 2] = Word(x[k], k + 1 < length ? x[k + 1] : 0.0f);
  }
}

// MatrixTile with words; `depth` words.
CIRKD_FOR_BF16 inline void Bf16Tile(const uint32_t* const* rows, const uint32_t* panel, int64_t depth,
                                    float* out, int64_t out_stride, bool add) {
  __m512 sum[kBf16Rows][2];
  for (int64_t i = 0; i < kBf16Rows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  for (int64_t k = 0; k < depth; ++k, panel += kBf16Columns) {
    const __m512i right[2] = {_mm512_loadu_si512(panel), _mm512_loadu_si512(panel + 16)};
#pragma GCC unroll 8
    for (int64_t i = 0; i < kBf16Rows; ++i) {
      const __m512i left = _mm512_set1_epi32(static_cast<int>(rows[i][k]));
      const __m512bh& factor = reinterpret_cast<const __m512bh&>(left);
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], factor, reinterpret_cast<const __m512bh&>(right[0]));
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], factor, reinterpret_cast<const __m512bh&>(right[1]));
    }
  }
  for (int64_t i = 0; i < kBf16Rows; ++i) {
    for (int64_t v = 0; v < 2; ++v) {
      float* const at = out + i * out_stride + v * 16;
      _mm512_storeu_ps(at, add ? _mm512_add_ps(_mm512_loadu_ps(at), sum[i][v]) : sum[i][v]);
    }
  }
}

// Similarities of unit.h; rows of `words` words.
CIRKD_FOR_BF16 inline void SimilaritiesBf16(const uint32_t* left, const uint32_t* panels, int64_t words,
                                            int64_t rows, int64_t columns, float* out) {
  const uint32_t* row[kBf16Rows];
  for (int64_t column = 0; column < columns; column += kBf16Columns) {
    for (int64_t first = 0; first < rows; first += kBf16Rows) {
      for (int64_t i = 0; i < kBf16Rows; ++i) row[i] = left + std::min(first + i, rows - 1) * words;
      Bf16Tile(row, panels + column * words, words, out + first * kStride + column, kStride, false);
    }
  }
}

// AddToRows of unit.h; gradient: rows of words, kStride / 2 apart.
CIRKD_FOR_BF16 inline void AddToRowsBf16(const uint32_t* gradient, int64_t rows, int64_t columns,
                                         const uint32_t* panels, int64_t channels, int64_t stride,
                                         float* sums) {
  const uint32_t* row[kBf16Rows];
  const int64_t words = WordsOf(columns);
  for (int64_t channel = 0; channel < channels; channel += kBf16Columns) {
    for (int64_t first = 0; first < rows; first += kBf16Rows) {
      for (int64_t i = 0; i < kBf16Rows; ++i) row[i] = gradient + (first + i) * (kStride / 2);
      Bf16Tile(row, panels + channel * words, words, sums + first * stride + channel, stride, true);
    }
  }
}

#else

inline bool HasBf16() { return false; }

#endif

}  // namespace cirkd

#endif  // CIRKD_NATIVE_SIMILARITY_BF16_H_
