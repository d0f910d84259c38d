// What the pairwise KL does with a unit of similarities between the rows of a group of images, and with a block of rows.
#ifndef CIRKD_NATIVE_SIMILARITY_PAIR_UNITS_H_
#define CIRKD_NATIVE_SIMILARITY_PAIR_UNITS_H_

#include <cstdint>
#include <vector>

#include "pairs.h"

namespace cirkd {

constexpr int64_t kMostColumns = Wide::kColumns;

// One network's rows as left and right matrices of the products.
struct Network {
  const float* rows;
  int64_t channels;
  float* panels;  // per block: PackKeys
};

struct Pairs {
  Network student, teacher;
  int64_t rows, images;
  float inverse_temperature;
  std::vector<RowBlock> blocks;
  float* row_panels;  // the student's per block: PackRows
  float* sums;        // the gradient without its factor: kBlock rows per block, `stride` apart
  int64_t stride;     // C in whole panels
};

template <typename L>
CIRKD_INLINE void PackBlock(const Pairs& of, int64_t block) {
  const RowBlock& rows = of.blocks[block];
  for (const Network* network : {&of.student, &of.teacher}) {
    PackKeys<L>(network->rows + rows.begin * network->channels, rows.count, network->channels,
                of.inverse_temperature, network->panels + block * kBlock * network->channels);
  }
  PackRows<L>(of.student.rows + rows.begin * of.student.channels, of.student.channels, rows.count,
              of.student.channels, of.row_panels + block * kBlock * of.stride);
}

CIRKD_INLINE UnitSide SideOf(const Pairs& of, const Network& network, const PairUnit& unit) {
  return {network.rows + of.blocks[unit.row].begin * network.channels,
          network.panels + unit.column * kBlock * network.channels, network.channels};
}

// First pass: exponentials of both networks and their sums.
template <typename L>
CIRKD_INLINE void SumUnit(const Pairs& of, const PairUnit& unit, float* student, float* teacher,
                          UnitSums* row_sums, UnitSums* column_sums) {
  const int64_t rows = of.blocks[unit.row].count, columns = of.blocks[unit.column].count;
  Similarities<L>(SideOf(of, of.student, unit), rows, columns, student);
  Similarities<L>(SideOf(of, of.teacher, unit), rows, columns, teacher);
  if (unit.is_diagonal()) {
    ExpSumsOfRows<false>(rows, columns, student, teacher, row_sums, column_sums);
  } else {
    ExpSumsOfRows<true>(rows, columns, student, teacher, row_sums, column_sums);
  }
}

// Second pass, where they weren't kept: one network's exponentials.
template <typename L>
CIRKD_INLINE void ExpUnit(const Pairs& of, const Network& network, const PairUnit& unit, float* exps) {
  const int64_t rows = of.blocks[unit.row].count, columns = of.blocks[unit.column].count;
  Similarities<L>(SideOf(of, network, unit), rows, columns, exps);
  ExpRows(rows, columns, exps);
}

// Adds a unit's gradient to that of the rows of its row block or of its column block.
template <typename L>
CIRKD_INLINE void AddUnit(const Pairs& of, const PairUnit& unit, bool to_rows, const float* student,
                          const float* teacher, const Reciprocals& reciprocals, float* room) {
  const int64_t rows = of.blocks[unit.row].count, columns = of.blocks[unit.column].count;
  UnitGradient(student, teacher, rows, columns, reciprocals, room);
  const int64_t block = kBlock * of.stride;
  if (to_rows) {
    AddToRows<L>(room, rows, columns, of.row_panels + unit.column * block, of.student.channels,
                 of.stride, of.sums + unit.row * block);
  } else {
    AddToColumns<L>(room, rows, columns, of.row_panels + unit.row * block, of.student.channels,
                    of.stride, of.sums + unit.column * block);
  }
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_SIMILARITY_PAIR_UNITS_H_
