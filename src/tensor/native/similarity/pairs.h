// The rows of a group of images in blocks, and the units of their symmetric matrix of similarities.
#ifndef CIRKD_NATIVE_SIMILARITY_PAIRS_H_
#define CIRKD_NATIVE_SIMILARITY_PAIRS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "unit.h"

namespace cirkd {

// Rows [begin, begin + count) of one image.
struct RowBlock {
  int64_t begin, count, image;
};

// Between two blocks, row <= column; the units below the diagonal are their transposes.
struct PairUnit {
  int64_t row, column;

  bool is_diagonal() const { return row == column; }
};

inline std::vector<RowBlock> BlocksOf(int64_t images, int64_t rows_per_image) {
  std::vector<RowBlock> blocks;
  for (int64_t image = 0; image < images; ++image) {
    for (int64_t at = 0; at < rows_per_image; at += kBlock) {
      blocks.push_back({image * rows_per_image + at, std::min(kBlock, rows_per_image - at), image});
    }
  }
  return blocks;
}

// Squares of `side` x `side` units on and above the diagonal, in order of their rows: what is in memory at once. A block meets
// the others in ascending order, whatever the side, so no sum depends on it.
inline std::vector<std::vector<PairUnit>> SquaresOf(int64_t blocks, int64_t side) {
  std::vector<std::vector<PairUnit>> squares;
  for (int64_t top = 0; top < blocks; top += side) {
    for (int64_t left = top; left < blocks; left += side) {
      std::vector<PairUnit> units;
      for (int64_t row = top; row < std::min(top + side, blocks); ++row) {
        for (int64_t column = std::max(left, row); column < std::min(left + side, blocks); ++column) {
          units.push_back({row, column});
        }
      }
      squares.push_back(units);
    }
  }
  return squares;
}

// How many units' similarities are in memory: of both networks for one square at a time, and of one network for as many
// squares as there is room for, from the first pass to the second.
struct PairsPlan {
  int64_t side;
  int64_t kept_squares;
  // Whether the one square's are kept in both networks.
  bool keeps_all;
  // Units of one network that are kept; 0 if all are.
  int64_t kept_units;
};

// `side`: of a square, in blocks; 0: from the budget, a quarter of which is for the square.
inline PairsPlan PlanOf(int64_t blocks, int64_t side, double budget_bytes) {
  const int64_t room = static_cast<int64_t>(budget_bytes / (2 * kUnitFloats * sizeof(float)));
  const bool fits = blocks * (blocks + 1) / 2 <= room;
  if (side == 0) {
    side = fits ? blocks : static_cast<int64_t>(std::sqrt(static_cast<double>(room) / 4));
  }
  side = std::clamp<int64_t>(side, 1, blocks);
  if (side == blocks) return {side, 1, true, 0};
  PairsPlan plan = {side, 0, false, 0};
  const int64_t most = 2 * (room - side * side);
  for (const auto& square : SquaresOf(blocks, side)) {
    const int64_t units = plan.kept_units + static_cast<int64_t>(square.size());
    if (units > most) break;
    plan.kept_units = units;
    ++plan.kept_squares;
  }
  return plan;
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_SIMILARITY_PAIRS_H_
