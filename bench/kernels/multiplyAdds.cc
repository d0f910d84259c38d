// Prints the rate of multiply-adds between registers, in 1e9 operations a second of processor time, at the level of
// CIRKD_VECTOR_LEVEL: the most that a product of matrices could reach in one thread.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "level.h"

namespace cirkd {

constexpr int kChains = 12;  // More than a unit's latency times the number of units.
constexpr int64_t kRounds = 20'000'000;

template <typename L>
CIRKD_INLINE void MultiplyAdd(const int64_t& rounds, float* const& out) {
  typedef typename L::Vector Vector;
  Vector sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = Vector{} + static_cast<float>(i);
  const Vector factor = Vector{} + 0.9999999f, term = Vector{} + 1e-9f;
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * factor + term;
  }
  for (int i = 1; i < kChains; ++i) sum[0] += sum[i];
  *reinterpret_cast<Vector*>(out) = sum[0];
}

CIRKD_AT_BEST_LEVEL(MultiplyAddAtBest, MultiplyAdd)

}  // namespace cirkd

int main() {
  float out[64] = {};
  float* const at = out;
  double best = 0;
  for (int i = 0; i < 4; ++i) {
    const std::clock_t begin = std::clock();
    cirkd::MultiplyAddAtBest(cirkd::kRounds, at);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    const double lanes = static_cast<double>(cirkd::BestTile().columns) / 2;
    best = std::max(best, 2 * lanes * cirkd::kChains * cirkd::kRounds / seconds / 1e9);
  }
  // The sum is printed so that the loop isn't left out.
  std::printf("{\"level\": %d, \"gigaflops\": %.1f, \"sum\": %g}\n", static_cast<int>(cirkd::BestLevel()), best, out[0]);
}
