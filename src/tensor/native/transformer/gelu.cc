// CirkdGelu and CirkdGeluGrad: x times the normal distribution function of x, in one pass over x.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include "kernelCall.h"
#include "threadPool.h"
#include "vectorMath.h"

namespace cirkd {
namespace {

constexpr float kDensityAtZero = 0.398942280401432678f;  // 1 / sqrt(2 pi)

CIRKD_VECTORISED void Gelu(const float* x, int64_t begin, int64_t end, float* y) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    float bell;
    y[i] = x[i] * NormalDistribution(x[i], &bell);
  }
}

CIRKD_VECTORISED void GeluGradient(const float* dy, const float* x, int64_t begin, int64_t end,
                                   float* dx) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    float bell;
    const float distribution = NormalDistribution(x[i], &bell);
    dx[i] = dy[i] * (distribution + x[i] * (bell * kDensityAtZero));
  }
}

int64_t SizeOf(const std::vector<int64_t>& shape) {
  int64_t size = 1;
  for (const int64_t side : shape) size *= side;
  return size;
}

// Calls work(begin, end) for each part of the elements.
template <typename Work>
void OverElements(int64_t size, const Work& work) {
  const int parts = PartsFor(size, size);
  Pool::Get().Run(parts, [&](int part) { work(size * part / parts, size * (part + 1) / parts); });
}

void ComputeForward(Call* call) {
  std::vector<int64_t> shape;
  const float* const x = call->Input(0, &shape);
  float* const y = x == nullptr ? nullptr : call->Output(0, shape);
  if (y == nullptr) return;
  OverElements(SizeOf(shape), [&](int64_t begin, int64_t end) { Gelu(x, begin, end, y); });
}

void ComputeGradient(Call* call) {
  std::vector<int64_t> shape;
  const float* const dy = call->Input(0, &shape);
  const float* x;
  if (dy == nullptr || !call->InputOf(1, shape, "x: another shape than dy", &x)) return;
  float* const dx = call->Output(0, shape);
  if (dx == nullptr) return;
  OverElements(SizeOf(shape),
               [&](int64_t begin, int64_t end) { GeluGradient(dy, x, begin, end, dx); });
}

const bool registered = [] {
  Register<ComputeForward>("CirkdGelu", {"x: float"}, {"y: float"});
  Register<ComputeGradient>("CirkdGeluGrad", {"dy: float", "x: float"}, {"dx: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
