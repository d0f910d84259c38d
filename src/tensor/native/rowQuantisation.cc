// Two TensorFlow ops for int8 rows with one scale per row, CirkdQuantizeRows and CirkdDequantizeRows:
// they pass over the rows once, TensorFlow's own ops would five times; CirkdDequantizeRows also joins the
// answers of a batch on the way. ../kernels/rowQuantisation.ts
// has their formulas and composes them of TensorFlow's ops for other devices.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernelCall.h"
#include "threadPool.h"
#include "vectorMath.h"

namespace cirkd {
namespace {

constexpr float kSteps = 127.0f;
// Rows with a smaller peak become zero: their scale would be denormal.
constexpr float kSmallestPeak = kSteps * std::numeric_limits<float>::min();

CIRKD_VECTORISED void QuantizeRows(const float* x, int64_t channels, int64_t begin, int64_t end,
                                   int8_t* q, float* scales) {
  for (int64_t row = begin; row < end; ++row) {
    const float* const values = x + row * channels;
    int8_t* const bytes = q + row * channels;
    float peak = 0.0f;
    float broken = 0.0f;  // NaN where a value is infinite or NaN: x - x is 0 for all others.
#pragma omp simd reduction(max : peak) reduction(+ : broken)
    for (int64_t i = 0; i < channels; ++i) {
      const float size = std::fabs(values[i]);
      peak = size > peak ? size : peak;
      broken += values[i] - values[i];
    }
    const bool is_zero = !(peak >= kSmallestPeak) || broken != broken;
    scales[row] = is_zero ? broken : peak / kSteps;
    const float steps_per_unit = is_zero ? 0.0f : kSteps / peak;
    if (is_zero) {
      std::memset(bytes, 0, channels);
      continue;
    }
#pragma omp simd
    for (int64_t i = 0; i < channels; ++i) {
      // 1.5 * 2^23: a number added to it is rounded to the nearest integer, ties to even, which is in
      // the last bits of the sum.
      const float shifted = values[i] * steps_per_unit + 12582912.0f;
      int32_t bits;
      std::memcpy(&bits, &shifted, sizeof(bits));
      bytes[i] = static_cast<int8_t>(bits - 0x4b400000);
    }
  }
}

CIRKD_VECTORISED void DequantizeRows(const int8_t* q, const float* scales, int64_t channels,
                                     int64_t begin, int64_t end, float* x) {
  for (int64_t row = begin; row < end; ++row) {
    const int8_t* const bytes = q + row * channels;
    float* const values = x + row * channels;
    const float given = scales[row];
    // Unit rows have no other scales.
    const float scale =
        given >= 0.0f && given <= 1.0f ? given : std::numeric_limits<float>::quiet_NaN();
#pragma omp simd
    for (int64_t i = 0; i < channels; ++i) values[i] = static_cast<float>(bytes[i]) * scale;
  }
}

void ComputeQuantizeRows(Call* call) {
  std::vector<int64_t> shape;
  const float* const x = call->Input(0, &shape);
  if (x == nullptr || !call->Require(shape.size() == 2, "x: not a matrix")) return;
  const int64_t rows = shape[0], channels = shape[1], bytes = rows * channels;
  const int64_t words = (bytes + 3) / 4;
  int32_t* const packed = call->Output<int32_t>(0, {words});
  float* const scales = call->Output(1, {rows});
  if (packed == nullptr || scales == nullptr) return;
  int8_t* const q = reinterpret_cast<int8_t*>(packed);
  std::memset(q + bytes, 0, words * 4 - bytes);
  const int parts = PartsFor(rows, bytes);
  Pool::Get().Run(parts, [&](int part) {
    QuantizeRows(x, channels, rows * part / parts, rows * (part + 1) / parts, q, scales);
  });
}

// N matrices and their N vectors of scales, all of one size.
void ComputeDequantizeRows(Call* call) {
  const int count = call->Inputs() / 2;
  std::vector<const int8_t*> q(count);
  std::vector<const float*> scales(count);
  std::vector<int64_t> shape, other;
  for (int i = 0; i < count; ++i) {
    q[i] = call->Input<int8_t>(i, i == 0 ? &shape : &other);
    if (q[i] == nullptr || !call->Require(shape.size() == 2, "q: not a matrix")) return;
    if (i > 0 && !call->Require(other == shape, "q: matrices of different sizes")) return;
  }
  const int64_t rows = shape[0], channels = shape[1];
  for (int i = 0; i < count; ++i) {
    scales[i] = call->Input(count + i, &other);
    if (scales[i] == nullptr) return;
    if (!call->Require(other.size() == 1 && other[0] == rows, "scales: wrong length")) return;
  }
  float* const x = call->Output(0, {count * rows, channels});
  if (x == nullptr) return;
  const int parts = PartsFor(count * rows, count * rows * channels);
  Pool::Get().Run(parts, [&](int part) {
    const int64_t begin = count * rows * part / parts, end = count * rows * (part + 1) / parts;
    for (int i = 0; i < count; ++i) {
      const int64_t first = i * rows;
      const int64_t from = std::max(begin - first, int64_t{0}), to = std::min(end - first, rows);
      if (from < to) DequantizeRows(q[i], scales[i], channels, from, to, x + first * channels);
    }
  });
}

const bool registered = [] {
  Register<ComputeQuantizeRows>("CirkdQuantizeRows", {"x: float"},
                                {"packed: int32", "scales: float"});
  Register<ComputeDequantizeRows>("CirkdDequantizeRows", {"q: N * uint8", "scales: N * float"},
                                  {"x: float"}, {"N: int >= 1"});
  return true;
}();

}  // namespace
}  // namespace cirkd
