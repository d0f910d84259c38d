// A TensorFlow op for KL divergences between softmaxes over the rows of matrices, column by column:
// CirkdColumnKl. ../kernels/columnKl.ts has its formulas and composes them of TensorFlow's ops, which
// need both matrices transposed, for other devices.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernelCall.h"
#include "threadPool.h"
#include "vectorMath.h"

namespace cirkd {
namespace {

// Columns per strip: a strip of 2048 rows of both matrices and the gradient fits into the L2 cache.
constexpr int64_t kStrip = 64;
// Rows whose sums are float32; those of all rows are double.
constexpr int64_t kBlock = 128;

struct ColumnKl {
  const float *student, *teacher;
  int64_t rows, columns;
  float inverse_temperature, factor;
  float *gradient, *kl;
};

CIRKD_VECTORISED void LargestOfStrip(const float* x, int64_t rows, int64_t stride, int64_t width,
                                     float* largest) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* const values = x + row * stride;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      largest[i] = values[i] > largest[i] ? values[i] : largest[i];
    }
  }
}

// Adds up a block of rows, and leaves the student's exp in the gradient. ms, mt: the largest values.
CIRKD_VECTORISED void AddBlock(const float* s, const float* t, int64_t rows, int64_t stride,
                               int64_t width, float inverse, const float* ms, const float* mt,
                               float* g, float* student_sums, float* teacher_sums, float* cross) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* const s_row = s + row * stride;
    const float* const t_row = t + row * stride;
    float* const g_row = g + row * stride;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      const float own = (s_row[i] - ms[i]) * inverse;
      const float other = (t_row[i] - mt[i]) * inverse;
      const float e = Exp(own);
      const float p = Exp(other);
      g_row[i] = e;
      student_sums[i] += e;
      teacher_sums[i] += p;
      cross[i] += p * (other - own);
    }
  }
}

// The gradient, (q - p) * factor, from the student's exp: q and p are exp times these factors.
CIRKD_VECTORISED void FinishStrip(const float* t, int64_t rows, int64_t stride, int64_t width,
                                  float inverse, const float* mt, const float* student_factors,
                                  const float* teacher_factors, float* g) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* const t_row = t + row * stride;
    float* const g_row = g + row * stride;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      g_row[i] = g_row[i] * student_factors[i] - Exp((t_row[i] - mt[i]) * inverse) * teacher_factors[i];
    }
  }
}

// `width` columns, of which the pointers are the first.
void Strip(const ColumnKl& of, int64_t width) {
  float largest[2][kStrip], sums[3][kStrip], factors[2][kStrip];
  double totals[3][kStrip] = {};
  const float* const maps[] = {of.student, of.teacher};
  for (int side = 0; side < 2; ++side) {
    std::fill(largest[side], largest[side] + width, -std::numeric_limits<float>::infinity());
    LargestOfStrip(maps[side], of.rows, of.columns, width, largest[side]);
  }
  for (int64_t row = 0; row < of.rows; row += kBlock) {
    const int64_t at = row * of.columns;
    std::fill(sums[0], sums[0] + 3 * kStrip, 0.0f);
    AddBlock(of.student + at, of.teacher + at, std::min(kBlock, of.rows - row), of.columns, width,
             of.inverse_temperature, largest[0], largest[1], of.gradient + at, sums[0], sums[1],
             sums[2]);
    for (int kind = 0; kind < 3; ++kind) {
      for (int64_t i = 0; i < width; ++i) totals[kind][i] += sums[kind][i];
    }
  }
  for (int64_t i = 0; i < width; ++i) {
    const double student = totals[0][i], teacher = totals[1][i];
    of.kl[i] =
        static_cast<float>(totals[2][i] / teacher + std::log(student) - std::log(teacher));
    factors[0][i] = static_cast<float>(of.factor / student);
    factors[1][i] = static_cast<float>(of.factor / teacher);
  }
  FinishStrip(of.teacher, of.rows, of.columns, width, of.inverse_temperature, largest[1], factors[0],
              factors[1], of.gradient);
}

void ComputeColumnKl(Call* call) {
  std::vector<int64_t> shape, other;
  const float* const student = call->Input(0, &shape);
  if (student == nullptr ||
      !call->Require(shape.size() == 3, "student: not matrices, one per image")) {
    return;
  }
  const float* const teacher = call->Input(1, &other);
  if (teacher == nullptr || !call->Require(other == shape, "teacher: another shape than student")) {
    return;
  }
  const float* numbers;
  if (!call->InputOf(2, {2}, "numbers: not inverse temperature and factor", &numbers)) return;
  const int64_t images = shape[0], rows = shape[1], columns = shape[2];
  float* const gradient = call->Output(0, shape);
  float* const kl = call->Output(1, {images, columns});
  if (gradient == nullptr || kl == nullptr) return;
  const int64_t strips = (columns + kStrip - 1) / kStrip, pieces = images * strips;
  const int parts = PartsFor(pieces, images * rows * columns);
  Pool::Get().Run(parts, [&](int part) {
    for (int64_t piece = pieces * part / parts; piece < pieces * (part + 1) / parts; ++piece) {
      const int64_t image = piece / strips, column = piece % strips * kStrip;
      const int64_t at = image * rows * columns + column;
      Strip({student + at, teacher + at, rows, columns, numbers[0], numbers[1], gradient + at,
             kl + image * columns + column},
            std::min(kStrip, columns - column));
    }
  });
}

const bool registered = [] {
  Register<ComputeColumnKl>("CirkdColumnKl", {"student: float", "teacher: float", "numbers: float"},
                            {"gradient: float", "kl: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
