// CirkdPairwiseKl: KL divergence between softmaxes over similarities of all rows of a group of images with one another.
// ../../kernels/similarityKl.ts has the formula.
//
// P rows, C student and D teacher channels. Two passes over half the matrix: the first sums exponentials, the second forms
// the gradient. A unit's rows and columns get the products with it in a fixed order of units, each block of rows from one
// thread at a time: the same bits for any number of threads and any budget.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include "kernelCall.h"
#include "lineFloats.h"
#include "pairUnits.h"
#include "pairs.h"
#include "threadPool.h"

namespace cirkd {
namespace {

CIRKD_AT_BEST_LEVEL(PackBlockAtBest, PackBlock)
CIRKD_AT_BEST_LEVEL(SumUnitAtBest, SumUnit)
CIRKD_AT_BEST_LEVEL(ExpUnitAtBest, ExpUnit)
CIRKD_AT_BEST_LEVEL(AddUnitAtBest, AddUnit)

class Evaluation {
 public:
  Evaluation(const Pairs& of, int64_t side, double budget_bytes)
      : of_(of),
        blocks_(static_cast<int64_t>(of.blocks.size())),
        plan_(PlanOf(blocks_, side, budget_bytes)),
        squares_(SquaresOf(blocks_, plan_.side)),
        working_(2 * static_cast<int64_t>(LargestSquare()) * kUnitFloats),
        kept_(plan_.kept_units * kUnitFloats) {
    for (std::vector<double>& sums : sums_) sums.assign(of.rows * of.images, 0.0);
    for (std::vector<float>& reciprocals : reciprocals_) reciprocals.resize(of.rows * of.images);
  }

  // kl: a number per row, summed over the images.
  void Run(float* kl) {
    Pool::Get().Run(static_cast<int>(blocks_), [&](int block) {
      const int64_t at = block;
      PackBlockAtBest(of_, at);
    });
    int64_t first = 0;
    for (size_t square = 0; square < squares_.size(); ++square) {
      Sum(square, first);
      first += squares_[square].size();
    }
    Finish(kl);
    first = 0;
    for (size_t square = 0; square < squares_.size(); ++square) {
      if (!plan_.keeps_all) Exps(square, first);
      Add(square, first);
      first += squares_[square].size();
    }
  }

 private:
  size_t LargestSquare() const {
    size_t largest = 0;
    for (const auto& square : squares_) largest = std::max(largest, square.size());
    return largest;
  }

  bool KeepsTeacher() const { return of_.teacher.channels >= of_.student.channels; }

  // Whether a network's exponentials of a square outlast the first pass.
  bool IsKept(size_t square, bool is_teacher) const {
    return !plan_.keeps_all && static_cast<int64_t>(square) < plan_.kept_squares &&
           is_teacher == KeepsTeacher();
  }

  // first: the number of units in the squares before.
  float* Exps(size_t square, int64_t first, int64_t unit, bool is_teacher) const {
    if (IsKept(square, is_teacher)) return kept_.data() + (first + unit) * kUnitFloats;
    return working_.data() + (2 * unit + (is_teacher ? 1 : 0)) * kUnitFloats;
  }

  void Sum(size_t square, int64_t first) {
    const std::vector<PairUnit>& units = squares_[square];
    std::vector<UnitSums> rows(units.size()), columns(units.size());
    Pool::Get().Run(static_cast<int>(units.size()), [&](int i) {
      float* const student = Exps(square, first, i, false);
      float* const teacher = Exps(square, first, i, true);
      UnitSums *const row_sums = &rows[i], *const column_sums = &columns[i];
      SumUnitAtBest(of_, units[i], student, teacher, row_sums, column_sums);
    });
    for (size_t i = 0; i < units.size(); ++i) {
      const RowBlock &row = of_.blocks[units[i].row], &column = of_.blocks[units[i].column];
      AddSums(row, column.image, rows[i]);
      if (!units[i].is_diagonal()) AddSums(column, row.image, columns[i]);
    }
  }

  void AddSums(const RowBlock& block, int64_t image, const UnitSums& sums) {
    const int64_t at = image * of_.rows + block.begin;
    for (int64_t i = 0; i < block.count; ++i) {
      sums_[0][at + i] += sums.student[i];
      sums_[1][at + i] += sums.teacher[i];
      sums_[2][at + i] += sums.cross[i];
    }
  }

  void Finish(float* kl) {
    for (int64_t row = 0; row < of_.rows; ++row) {
      double total = 0.0;
      for (int64_t image = 0; image < of_.images; ++image) {
        const int64_t at = image * of_.rows + row;
        const double student = sums_[0][at], teacher = sums_[1][at];
        total += sums_[2][at] / teacher + std::log(student / teacher);
        reciprocals_[0][at] = static_cast<float>(1.0 / student);
        reciprocals_[1][at] = static_cast<float>(1.0 / teacher);
      }
      kl[row] = static_cast<float>(total);
    }
  }

  // The exponentials of a square that weren't kept.
  void Exps(size_t square, int64_t first) {
    const std::vector<PairUnit>& units = squares_[square];
    Pool::Get().Run(static_cast<int>(units.size()), [&](int i) {
      for (const bool is_teacher : {false, true}) {
        if (IsKept(square, is_teacher)) continue;
        float* const exps = Exps(square, first, i, is_teacher);
        ExpUnitAtBest(of_, is_teacher ? of_.teacher : of_.student, units[i], exps);
      }
    });
  }

  // A task per block of rows: all that the square has for it.
  void Add(size_t square, int64_t first) {
    const std::vector<PairUnit>& units = squares_[square];
    std::vector<std::vector<int64_t>> of_block(blocks_);
    for (size_t i = 0; i < units.size(); ++i) {
      of_block[units[i].row].push_back(i);
      if (!units[i].is_diagonal()) of_block[units[i].column].push_back(i);
    }
    std::vector<int64_t> blocks;
    for (int64_t block = 0; block < blocks_; ++block) {
      if (!of_block[block].empty()) blocks.push_back(block);
    }
    Pool::Get().Run(static_cast<int>(blocks.size()), [&](int task) {
      const LineFloats gradient(kUnitFloats, 0.0f);
      float* const room = gradient.data();
      for (const int64_t i : of_block[blocks[task]]) {
        const PairUnit& unit = units[i];
        const float* const student = Exps(square, first, i, false);
        const float* const teacher = Exps(square, first, i, true);
        const bool to_rows = unit.row == blocks[task];
        AddUnitAtBest(of_, unit, to_rows, student, teacher, ReciprocalsOf(unit), room);
      }
    });
  }

  Reciprocals ReciprocalsOf(const PairUnit& unit) const {
    const RowBlock &row = of_.blocks[unit.row], &column = of_.blocks[unit.column];
    const int64_t rows = column.image * of_.rows + row.begin;
    const int64_t columns = row.image * of_.rows + column.begin;
    return {&reciprocals_[0][rows], &reciprocals_[1][rows], &reciprocals_[0][columns],
            &reciprocals_[1][columns]};
  }

  const Pairs& of_;
  const int64_t blocks_;
  const PairsPlan plan_;
  const std::vector<std::vector<PairUnit>> squares_;
  const LineFloats working_, kept_;
  // exp(S), exp(T) and exp(T) (T - S), of row r over image j at [j * rows + r]; and the reciprocals of the first two.
  std::vector<double> sums_[3];
  std::vector<float> reciprocals_[2];
};

// The sums without their padding, times the factor.
void TakeGradient(const Pairs& of, float factor, float* gradient) {
  const int64_t channels = of.student.channels;
  Pool::Get().Run(static_cast<int>(of.blocks.size()), [&](int block) {
    const RowBlock& rows = of.blocks[block];
    for (int64_t i = 0; i < rows.count; ++i) {
      const float* const from = of.sums + (block * kBlock + i) * of.stride;
      float* const to = gradient + (rows.begin + i) * channels;
      for (int64_t c = 0; c < channels; ++c) to[c] = from[c] * factor;
    }
  });
}

void Compute(Pairs of, const float* numbers, float* gradient, float* kl) {
  const int64_t rows = static_cast<int64_t>(of.blocks.size()) * kBlock;
  const LineFloats student(rows * of.student.channels), teacher(rows * of.teacher.channels);
  const LineFloats row_panels(rows * of.stride), sums(rows * of.stride, 0.0f);
  of.student.panels = student.data();
  of.teacher.panels = teacher.data();
  of.row_panels = row_panels.data();
  of.sums = sums.data();
  Evaluation(of, static_cast<int64_t>(numbers[4]), numbers[3] * 1048576.0).Run(kl);
  TakeGradient(of, numbers[1], gradient);
}

void ComputePairwiseKl(Call* call) {
  std::vector<int64_t> shape, other;
  Pairs of;
  of.student.rows = call->Input(0, &shape);
  if (of.student.rows == nullptr || !call->Require(shape.size() == 2, "student: not a matrix")) return;
  of.teacher.rows = call->Input(1, &other);
  if (of.teacher.rows == nullptr || !call->Require(other.size() == 2 && other[0] == shape[0],
                                                   "teacher: not as many rows as the student")) {
    return;
  }
  const float* numbers;
  if (!call->InputOf(2, {5}, "numbers: not inverse temperature, factor, images, MiB and side", &numbers)) {
    return;
  }
  of.rows = shape[0];
  of.images = static_cast<int64_t>(numbers[2]);
  if (!call->Require(of.images > 0 && of.rows % of.images == 0, "images: don't divide the rows") ||
      !call->Require(of.rows * shape[1] * other[1] > 0, "inputs: one is empty")) {
    return;
  }
  of.student.channels = shape[1];
  of.teacher.channels = other[1];
  of.inverse_temperature = numbers[0];
  of.blocks = BlocksOf(of.images, of.rows / of.images);
  of.stride = RoundUp(shape[1], kMostColumns);
  float* const gradient = call->Output(0, shape);
  float* const kl = call->Output(1, {of.rows});
  if (gradient == nullptr || kl == nullptr) return;
  Compute(of, numbers, gradient, kl);
}

const bool registered = [] {
  Register<ComputePairwiseKl>("CirkdPairwiseKl",
                              {"student: float", "teacher: float", "numbers: float"},
                              {"gradient: float", "kl: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
