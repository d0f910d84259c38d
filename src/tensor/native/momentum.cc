// CirkdMomentum: SGD with weight decay and momentum, in place, in one pass over all parameters; and
// CirkdSumsOfSquares, which shows in one pass over all gradients whether they are finite.
// ../kernels/parameterUpdate.ts describes their inputs.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include "level.h"
#include "tensorList.h"

namespace cirkd {
namespace {

struct Numbers {
  float rate, momentum, decay;
};

// velocity = momentum * velocity + gradient + decay * weight; weight -= rate * velocity. Without a gradient it is 0.
// The bits don't depend on where a range begins: vectors and the rest are computed alike.
template <typename L>
CIRKD_INLINE void Update(Numbers by, const float* gradient, int64_t count, float* weights,
                         float* velocity) {
  if (gradient == nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      velocity[i] = by.momentum * velocity[i] + by.decay * weights[i];
      weights[i] -= by.rate * velocity[i];
    }
    return;
  }
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    velocity[i] = by.momentum * velocity[i] + (by.decay * weights[i] + gradient[i]);
    weights[i] -= by.rate * velocity[i];
  }
}

template <typename L>
CIRKD_INLINE void AddSquares(const float* x, int64_t count, float* sum) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) total += x[i] * x[i];
  *sum += total;
}

CIRKD_AT_BEST_LEVEL(UpdateAtBest, Update)
CIRKD_AT_BEST_LEVEL(AddSquaresAtBest, AddSquares)

struct Updated {
  float *weights, *velocity;
  const float* gradient;
};

// Inputs: N weights, N velocities (both are changed), N gradients (of the same shape, or empty), numbers (rate, momentum,
// decay).
void ComputeMomentum(Call* call) {
  const int count = (call->inputs() - 1) / 3;
  TensorList list;
  std::vector<Updated> updated(count);
  std::vector<int64_t> shape;
  for (int i = 0; i < count; ++i) {
    Updated& each = updated[i];
    const float* velocity;
    each.weights = call->InPlace(i, &shape);
    if (each.weights == nullptr && ElementsOf(shape) > 0) return;
    if (!call->InputOf(count + i, shape, "velocity: another shape than the weights", &velocity) ||
        !call->InputOf(2 * count + i, shape, "gradient: another shape than the weights", &each.gradient,
                       true)) {
      return;
    }
    each.velocity = const_cast<float*>(velocity);
    list.Add(ElementsOf(shape));
  }
  const float* numbers;
  if (!call->InputOf(3 * count, {3}, "numbers: not three", &numbers)) return;
  const Numbers by{numbers[0], numbers[1], numbers[2]};
  Pool::Get().Run(list.parts(), [&](int part) {
    list.ForPart(part, [&](int tensor, int64_t first, int64_t elements) {
      const Updated& each = updated[tensor];
      const float* const gradient = each.gradient == nullptr ? nullptr : each.gradient + first;
      UpdateAtBest(by, gradient, elements, each.weights + first, each.velocity + first);
    });
  });
}

// Inputs: N tensors. Output: [N], the sum of the squares of each.
void ComputeSumsOfSquares(Call* call) {
  const int count = call->inputs();
  TensorList list;
  std::vector<const float*> tensors(count);
  std::vector<int64_t> shape;
  for (int i = 0; i < count; ++i) {
    tensors[i] = call->Input(i, &shape);
    if (tensors[i] == nullptr && ElementsOf(shape) > 0) return;
    list.Add(ElementsOf(shape));
  }
  float* const sums = call->Output(0, {count});
  if (sums == nullptr) return;
  const int parts = list.parts();
  std::vector<std::vector<float>> own(parts, std::vector<float>(count, 0.0f));
  Pool::Get().Run(parts, [&](int part) {
    list.ForPart(part, [&](int tensor, int64_t first, int64_t elements) {
      AddSquaresAtBest(tensors[tensor] + first, elements, &own[part][tensor]);
    });
  });
  for (int i = 0; i < count; ++i) {
    sums[i] = 0.0f;
    for (const std::vector<float>& part : own) sums[i] += part[i];
  }
}

const bool registered = [] {
  Register<ComputeMomentum>("CirkdMomentum",
                            {"weights: N * float", "velocities: N * float", "gradients: N * float",
                             "numbers: float"},
                            {}, {"N: int >= 1"});
  Register<ComputeSumsOfSquares>("CirkdSumsOfSquares", {"tensors: N * float"}, {"sums: float"},
                                 {"N: int >= 1"});
  return true;
}();

}  // namespace
}  // namespace cirkd
