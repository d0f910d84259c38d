// Two TensorFlow ops for tiles of similarity matrices, CirkdExpSums and CirkdKlTile: they pass over a
// tile once, TensorFlow's own ops would ten times. ../kernels/similarity.ts has their formulas and
// composes them of TensorFlow's ops for other devices.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernelCall.h"
#include "threadPool.h"
#include "vectorMath.h"

namespace cirkd {
namespace {

// Columns per block: their sums fit into the L1 cache.
constexpr int64_t kStrip = 512;

CIRKD_VECTORISED void ExpSums(const float* x, int64_t columns, int64_t begin, int64_t end,
                              float* row_sums, float* column_sums) {
  for (int64_t at = 0; at < columns; at += kStrip) {
    const int64_t width = std::min(kStrip, columns - at);
    float* const sums = column_sums + at;
    for (int64_t row = begin; row < end; ++row) {
      const float* const values = x + row * columns + at;
      float total = 0.0f;
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < width; ++i) {
        const float e = Exp(values[i]);
        sums[i] += e;
        total += e;
      }
      row_sums[row] += total;
    }
  }
}

CIRKD_VECTORISED double KlRows(const float* s, const float* t, const float* student_rows,
                               const float* student_columns, const float* teacher_rows,
                               const float* teacher_columns, int64_t columns, int64_t begin,
                               int64_t end, float* gradient) {
  double sum = 0.0;
  for (int64_t row = begin; row < end; ++row) {
    const float student_row = student_rows[row];
    const float teacher_row = teacher_rows[row];
    const float* const s_row = s + row * columns;
    const float* const t_row = t + row * columns;
    float* const g_row = gradient + row * columns;
    float row_sum = 0.0f;
#pragma omp simd reduction(+ : row_sum)
    for (int64_t i = 0; i < columns; ++i) {
      const float p = Exp(t_row[i]) * (teacher_row + teacher_columns[i]);
      const float q = Exp(s_row[i]) * (student_row + student_columns[i]);
      g_row[i] = q - p;
      row_sum += p * (t_row[i] - s_row[i]);
    }
    sum += row_sum;
  }
  return sum;
}

void ComputeExpSums(Call* call) {
  std::vector<int64_t> shape;
  const float* const x = call->Input(0, &shape);
  if (x == nullptr || !call->Require(shape.size() == 2, "x: not a matrix")) return;
  const int64_t rows = shape[0], columns = shape[1];
  float* const row_sums = call->Output(0, {rows});
  float* const column_sums = call->Output(1, {columns});
  if (row_sums == nullptr || column_sums == nullptr) return;
  const int parts = PartsFor(rows, rows * columns);
  std::vector<std::vector<float>> partial(parts, std::vector<float>(columns, 0.0f));
  std::fill(row_sums, row_sums + rows, 0.0f);
  Pool::Get().Run(parts, [&](int part) {
    ExpSums(x, columns, rows * part / parts, rows * (part + 1) / parts, row_sums,
            partial[part].data());
  });
  for (int64_t i = 0; i < columns; ++i) {
    column_sums[i] = 0.0f;
    for (int part = 0; part < parts; ++part) column_sums[i] += partial[part][i];
  }
}

void ComputeKlTile(Call* call) {
  std::vector<int64_t> shape, other;
  const float* const s = call->Input(0, &shape);
  if (s == nullptr || !call->Require(shape.size() == 2, "student: not a matrix")) return;
  const int64_t rows = shape[0], columns = shape[1];
  const float* const t = call->Input(1, &other);
  if (t == nullptr || !call->Require(other == shape, "teacher: another shape than student")) return;
  const float* factors[4];
  for (int i = 0; i < 4; ++i) {
    factors[i] = call->Input(2 + i, &other);
    const int64_t wanted = i % 2 == 0 ? rows : columns;
    if (factors[i] == nullptr ||
        !call->Require(other.size() == 1 && other[0] == wanted, "factors: wrong length")) {
      return;
    }
  }
  float* const gradient = call->Output(0, {rows, columns});
  float* const sum = call->Output(1, {1});
  if (gradient == nullptr || sum == nullptr) return;
  const int parts = PartsFor(rows, rows * columns);
  std::vector<double> sums(parts, 0.0);
  Pool::Get().Run(parts, [&](int part) {
    sums[part] = KlRows(s, t, factors[0], factors[1], factors[2], factors[3], columns,
                        rows * part / parts, rows * (part + 1) / parts, gradient);
  });
  double total = 0.0;
  for (const double part : sums) total += part;
  *sum = static_cast<float>(total);
}

const bool registered = [] {
  Register<ComputeExpSums>("CirkdExpSums", {"x: float"}, {"rows: float", "columns: float"});
  Register<ComputeKlTile>("CirkdKlTile",
           {"student: float", "teacher: float", "student_rows: float", "student_columns: float",
            "teacher_rows: float", "teacher_columns: float"},
           {"gradient: float", "sum: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
