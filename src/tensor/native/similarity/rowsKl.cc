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

#include "bf16.h"
#include "kernelCall.h"
#include "lineFloats.h"
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
  bool rounds;  // the factors of all products to bfloat16, where that is faster
  int64_t task_rows = kTaskRows;
  float *key_panels = nullptr, *gradient_panels = nullptr;  // per unit of kBlock keys

  int64_t units() const { return (count + kBlock - 1) / kBlock; }
  int64_t UnitCount(int64_t unit) const { return std::min(kBlock, count - unit * kBlock); }
  // Of a unit's panels; an odd number of channels gets a partner of zeros.
  int64_t key_floats() const { return kBlock * RoundUp(channels, 2); }
  // D in whole panels of any level.
  int64_t stride() const { return RoundUp(channels, kMostColumns); }
  // What a task has in memory: exponentials of both networks per unit, a gradient, its product, and rounded copies of the
  // gradient and of both networks' rows.
  int64_t unit_floats() const { return task_rows * kStride; }
  int64_t row_floats() const { return task_rows * stride(); }
  int64_t room() const { return (2 * units() + 2) * unit_floats() + 2 * row_floats(); }

  static constexpr int64_t kMostColumns = Wide::kColumns;
};

// The products of a task in float32.
template <typename L>
struct ExactProducts {
  static CIRKD_INLINE void Pack(const RowsKl& of, const float* keys, int64_t count, float* key_panels,
                                float* gradient_panels) {
    PackKeys<L>(keys, count, of.channels, of.inverse_temperature, key_panels);
    PackRows<L>(keys, of.channels, count, of.channels, gradient_panels);
  }

  static CIRKD_INLINE const float* Prepare(const RowsKl& of, const float* rows, int64_t, float*) {
    return rows;
  }

  static CIRKD_INLINE void Similar(const RowsKl& of, const float* rows, const float* panels,
                                   int64_t count, int64_t columns, float* out) {
    Similarities<L>({rows, panels, of.channels}, count, columns, out);
  }

  static CIRKD_INLINE void Add(const RowsKl& of, const float* gradient, int64_t rows, int64_t columns,
                               const float* panels, float*, float* sums) {
    AddToRows<L>(gradient, rows, columns, panels, of.channels, of.stride(), sums);
  }
};

#if CIRKD_BF16
// With factors rounded to bfloat16. Their words are in memory that is float for the exact products.
struct RoundedProducts {
  static uint32_t* Words(float* memory) { return reinterpret_cast<uint32_t*>(memory); }
  static const uint32_t* Words(const float* memory) {
    return reinterpret_cast<const uint32_t*>(memory);
  }

  static CIRKD_FOR_BF16 void Pack(const RowsKl& of, const float* keys, int64_t count,
                                  float* key_panels, float* gradient_panels) {
    PackKeysBf16(keys, count, of.channels, of.inverse_temperature, Words(key_panels));
    PackRowsBf16(keys, count, of.channels, Words(gradient_panels));
  }

  static CIRKD_FOR_BF16 const float* Prepare(const RowsKl& of, const float* rows, int64_t count,
                                             float* room) {
    RoundRows(rows, of.channels, count, of.channels, WordsOf(of.channels), Words(room));
    return room;
  }

  static CIRKD_FOR_BF16 void Similar(const RowsKl& of, const float* rows, const float* panels,
                                     int64_t count, int64_t columns, float* out) {
    SimilaritiesBf16(Words(rows), Words(panels), WordsOf(of.channels), count, columns, out);
  }

  static CIRKD_FOR_BF16 void Add(const RowsKl& of, const float* gradient, int64_t rows,
                                 int64_t columns, const float* panels, float* room, float* sums) {
    RoundRows(gradient, kStride, rows, columns, kStride / 2, Words(room));
    AddToRowsBf16(Words(room), rows, columns, Words(panels), of.channels, of.stride(), sums);
  }
};
#endif

template <typename Products>
CIRKD_INLINE void PackUnitWith(const RowsKl& of, int64_t unit) {
  Products::Pack(of, of.keys + unit * kBlock * of.channels, of.UnitCount(unit),
                 of.key_panels + unit * of.key_floats(), of.gradient_panels + unit * kBlock * of.stride());
}

struct RowTotals {
  double student[kTaskRows], teacher[kTaskRows], cross[kTaskRows];
};

// Rows [begin, begin + rows).
template <typename Products>
CIRKD_INLINE void ExpUnits(const RowsKl& of, int64_t begin, int64_t rows, float* room,
                           RowTotals* totals) {
  UnitSums sums;
  *totals = RowTotals{};
  float* const copies = room + 2 * (of.units() + 1) * of.unit_floats();
  const float* const own = Products::Prepare(of, of.student + begin * of.channels, rows, copies);
  const float* const target =
      Products::Prepare(of, of.teacher + begin * of.channels, rows, copies + of.row_floats() / 2);
  for (int64_t unit = 0; unit < of.units(); ++unit) {
    const float* const panels = of.key_panels + unit * of.key_floats();
    const int64_t count = of.UnitCount(unit);
    float* const student = room + 2 * unit * of.unit_floats();
    float* const teacher = student + of.unit_floats();
    Products::Similar(of, own, panels, rows, count, student);
    Products::Similar(of, target, panels, rows, count, teacher);
    ExpSumsOfRows<false>(rows, count, student, teacher, &sums, nullptr);
    for (int64_t i = 0; i < rows; ++i) {
      totals->student[i] += sums.student[i];
      totals->teacher[i] += sums.teacher[i];
      totals->cross[i] += sums.cross[i];
    }
  }
}

template <typename Products>
CIRKD_INLINE void RowsTaskWith(const RowsKl& of, int64_t begin, int64_t rows, float* room) {
  RowTotals totals;
  ExpUnits<Products>(of, begin, rows, room, &totals);
  float own[kTaskRows], target[kTaskRows];
  for (int64_t i = 0; i < rows; ++i) {
    own[i] = static_cast<float>(1.0 / totals.student[i]);
    target[i] = static_cast<float>(1.0 / totals.teacher[i]);
    of.kl[begin + i] = static_cast<float>(totals.cross[i] / totals.teacher[i] +
                                          std::log(totals.student[i] / totals.teacher[i]));
  }
  const Reciprocals reciprocals = {own, target, kNone, kNone};
  float* const gradient = room + 2 * of.units() * of.unit_floats();
  float* const copy = gradient + of.unit_floats();
  float* const sums = copy + of.unit_floats() + of.row_floats();
  std::fill(sums, sums + of.row_floats(), 0.0f);
  for (int64_t unit = 0; unit < of.units(); ++unit) {
    const float* const student = room + 2 * unit * of.unit_floats();
    UnitGradient(student, student + of.unit_floats(), rows, of.UnitCount(unit), reciprocals, gradient);
    Products::Add(of, gradient, rows, of.UnitCount(unit),
                  of.gradient_panels + unit * kBlock * of.stride(), copy, sums);
  }
  for (int64_t i = 0; i < rows; ++i) {
    float* const out = of.gradient + (begin + i) * of.channels;
    const float* const from = sums + i * of.stride();
#pragma omp simd
    for (int64_t c = 0; c < of.channels; ++c) out[c] = from[c] * of.factor;
  }
}

template <typename L>
CIRKD_INLINE void PackUnit(const RowsKl& of, int64_t unit) {
  PackUnitWith<ExactProducts<L>>(of, unit);
}

template <typename L>
CIRKD_INLINE void RowsTask(const RowsKl& of, int64_t begin, int64_t rows, float* room) {
  RowsTaskWith<ExactProducts<L>>(of, begin, rows, room);
}

CIRKD_AT_BEST_LEVEL(PackUnitAtBest, PackUnit)
CIRKD_AT_BEST_LEVEL(RowsTaskAtBest, RowsTask)

#if CIRKD_BF16
CIRKD_FOR_BF16 void PackUnitRounded(const RowsKl& of, int64_t unit) {
  PackUnitWith<RoundedProducts>(of, unit);
}

CIRKD_FOR_BF16 void RowsTaskRounded(const RowsKl& of, int64_t begin, int64_t rows, float* room) {
  RowsTaskWith<RoundedProducts>(of, begin, rows, room);
}
#else
void PackUnitRounded(const RowsKl&, int64_t) {}
void RowsTaskRounded(const RowsKl&, int64_t, int64_t, float*) {}
#endif

// As many rows as leave the tasks of `parts` threads within the budget. No result depends on it.
int64_t TaskRows(RowsKl of, int parts, double budget_bytes) {
  while (of.task_rows > kFewestRows && parts * of.room() * sizeof(float) > budget_bytes) {
    of.task_rows /= 2;
  }
  return of.task_rows;
}

void Compute(RowsKl of, double budget_bytes) {
  const LineFloats keys(of.units() * of.key_floats());
  const LineFloats rows(of.units() * kBlock * of.stride());
  of.key_panels = keys.data();
  of.gradient_panels = rows.data();
  Pool& pool = Pool::Get();
  pool.Run(static_cast<int>(of.units()), [&](int unit) {
    const int64_t at = unit;
    of.rounds ? PackUnitRounded(of, at) : PackUnitAtBest(of, at);
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
      of.rounds ? RowsTaskRounded(of, begin, count, at) : RowsTaskAtBest(of, begin, count, at);
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
  if (!call->InputOf(3, {4}, "numbers: not inverse temperature, factor, MiB and whether factors may be rounded", &numbers)) return;
  of.rows = shape[0];
  of.channels = shape[1];
  of.count = keys[0];
  of.inverse_temperature = numbers[0];
  of.factor = numbers[1];
  of.rounds = numbers[3] != 0.0f && HasBf16();
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
