// CirkdRowsKl: KL divergence between softmaxes over similarities between rows and keys that both networks share.
// ../../kernels/similarityKl.ts has the formula.
//
// P rows, M keys, D channels. A task takes some rows of both networks through all keys: each panel of keys is read once
// for both, exp is computed once, and the gradient's product follows while the exponentials are in the cache.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include <atomic>
#include <cmath>
#include <vector>

#include "kernelCall.h"
#include "threadPool.h"
#include "unit.h"

namespace cirkd {
namespace {

// Rows per task; their number divides kBlock into whole tiles at every level.
constexpr int64_t kTaskRows = 96, kFewestRows = 24;
constexpr float kNone[kBlock] = {};

struct RowsKl {
  const float *student, *teacher, *keys;
  int64_t rows, count, channels;  // P M D
  float inverse_temperature, factor;
  float *gradient, *kl;
  int64_t task_rows = kTaskRows;
  float *key_panels = nullptr, *gradient_panels = nullptr;  // per unit of kBlock keys

  int64_t units() const { return (count + kBlock - 1) / kBlock; }
  int64_t UnitCount(int64_t unit) const { return std::min(kBlock, count - unit * kBlock); }
  // D in whole panels of any level.
  int64_t stride() const { return RoundUp(channels, kMostColumns); }
  // What a task has in memory: exponentials of both networks per unit, a gradient, its product.
  int64_t unit_floats() const { return task_rows * kStride; }
  int64_t room() const { return (2 * units() + 1) * unit_floats() + task_rows * stride(); }

  static constexpr int64_t kMostColumns = Wide::kColumns;
};

template <typename L>
CIRKD_INLINE void PackUnit(const RowsKl& of, int64_t unit) {
  const float* const keys = of.keys + unit * kBlock * of.channels;
  const int64_t count = of.UnitCount(unit);
  PackKeys<L>(keys, count, of.channels, of.inverse_temperature,
              of.key_panels + unit * kBlock * of.channels);
  PackRows<L>(keys, of.channels, count, of.channels,
              of.gradient_panels + unit * kBlock * of.stride());
}

struct RowTotals {
  double student[kTaskRows], teacher[kTaskRows], cross[kTaskRows];
};

template <typename L>
CIRKD_INLINE void ExpUnits(const RowsKl& of, int64_t begin, int64_t rows, float* room,
                           RowTotals* totals) {
  UnitSums sums;
  *totals = RowTotals{};
  for (int64_t unit = 0; unit < of.units(); ++unit) {
    const float* const panels = of.key_panels + unit * kBlock * of.channels;
    const int64_t count = of.UnitCount(unit);
    float* const student = room + 2 * unit * of.unit_floats();
    float* const teacher = student + of.unit_floats();
    Similarities<L>({of.student + begin * of.channels, panels, of.channels}, rows, count, student);
    Similarities<L>({of.teacher + begin * of.channels, panels, of.channels}, rows, count, teacher);
    ExpSumsOfRows<false>(rows, count, student, teacher, &sums, nullptr);
    for (int64_t i = 0; i < rows; ++i) {
      totals->student[i] += sums.student[i];
      totals->teacher[i] += sums.teacher[i];
      totals->cross[i] += sums.cross[i];
    }
  }
}

// Rows [begin, begin + rows).
template <typename L>
CIRKD_INLINE void RowsTask(const RowsKl& of, int64_t begin, int64_t rows, float* room) {
  RowTotals totals;
  ExpUnits<L>(of, begin, rows, room, &totals);
  float own[kTaskRows], target[kTaskRows];
  for (int64_t i = 0; i < rows; ++i) {
    own[i] = static_cast<float>(1.0 / totals.student[i]);
    target[i] = static_cast<float>(1.0 / totals.teacher[i]);
    of.kl[begin + i] = static_cast<float>(totals.cross[i] / totals.teacher[i] +
                                          std::log(totals.student[i] / totals.teacher[i]));
  }
  const Reciprocals reciprocals = {own, target, kNone, kNone};
  float* const gradient = room + 2 * of.units() * of.unit_floats();
  float* const sums = gradient + of.unit_floats();
  const int64_t stride = of.stride();
  std::fill(sums, sums + of.task_rows * stride, 0.0f);
  for (int64_t unit = 0; unit < of.units(); ++unit) {
    const float* const student = room + 2 * unit * of.unit_floats();
    UnitGradient(student, student + of.unit_floats(), rows, of.UnitCount(unit), reciprocals, gradient);
    AddToRows<L>(gradient, rows, of.UnitCount(unit), of.gradient_panels + unit * kBlock * stride,
                 of.channels, stride, sums);
  }
  for (int64_t i = 0; i < rows; ++i) {
    float* const out = of.gradient + (begin + i) * of.channels;
    const float* const from = sums + i * stride;
#pragma omp simd
    for (int64_t c = 0; c < of.channels; ++c) out[c] = from[c] * of.factor;
  }
}

CIRKD_AT_BEST_LEVEL(PackUnitAtBest, PackUnit)
CIRKD_AT_BEST_LEVEL(RowsTaskAtBest, RowsTask)

// As many rows as leave the tasks of `parts` threads within the budget. No result depends on it.
int64_t TaskRows(RowsKl of, int parts, double budget_bytes) {
  while (of.task_rows > kFewestRows && parts * of.room() * sizeof(float) > budget_bytes) {
    of.task_rows /= 2;
  }
  return of.task_rows;
}

void Compute(RowsKl of, double budget_bytes) {
  const LineFloats keys(of.units() * kBlock * of.channels);
  const LineFloats rows(of.units() * kBlock * of.stride());
  of.key_panels = keys.data();
  of.gradient_panels = rows.data();
  Pool& pool = Pool::Get();
  pool.Run(static_cast<int>(of.units()), [&](int unit) {
    const int64_t at = unit;
    PackUnitAtBest(of, at);
  });
  of.task_rows = TaskRows(of, pool.size(), budget_bytes);
  const int64_t tasks = (of.rows + of.task_rows - 1) / of.task_rows;
  std::atomic<int64_t> next{0};
  // Each thread has one room, and takes tasks until there are none.
  pool.Run(static_cast<int>(std::min<int64_t>(pool.size(), tasks)), [&](int) {
    const LineFloats room(of.room(), 0.0f);
    float* const at = room.data();
    for (int64_t task = next++; task < tasks; task = next++) {
      const int64_t begin = task * of.task_rows;
      const int64_t count = std::min(of.task_rows, of.rows - begin);
      RowsTaskAtBest(of, begin, count, at);
    }
  });
}

void ComputeRowsKl(Call* call) {
  std::vector<int64_t> shape, keys;
  RowsKl of;
  of.student = call->Input(0, &shape);
  if (of.student == nullptr || !call->Require(shape.size() == 2, "student: not a matrix")) return;
  if (!call->InputOf(1, shape, "teacher: another shape than student", &of.teacher)) return;
  of.keys = call->Input(2, &keys);
  if (of.keys == nullptr || !call->Require(keys.size() == 2 && keys[1] == shape[1],
                                           "keys: not of the rows' channels")) {
    return;
  }
  const float* numbers;
  if (!call->InputOf(3, {3}, "numbers: not inverse temperature, factor and MiB", &numbers)) return;
  of.rows = shape[0];
  of.channels = shape[1];
  of.count = keys[0];
  of.inverse_temperature = numbers[0];
  of.factor = numbers[1];
  of.gradient = call->Output(0, shape);
  of.kl = call->Output(1, {of.rows});
  if (of.gradient == nullptr || of.kl == nullptr ||
      !call->Require(of.rows * of.count * of.channels > 0, "inputs: one is empty")) {
    return;
  }
  Compute(of, numbers[2] * 1048576.0);
}

const bool registered = [] {
  Register<ComputeRowsKl>(
      "CirkdRowsKl", {"student: float", "teacher: float", "keys: float", "numbers: float"},
      {"gradient: float", "kl: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
