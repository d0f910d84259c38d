// CirkdClassKl: KL divergence between softmaxes over the classes at each position. ../kernels/classKl.ts has the formula.
//
// As many positions as a vector has lanes are transposed, so that each lane works on its own position and none is wasted
// on a number of classes that isn't a multiple of the lanes.
//
// Part of the addon, registered through TensorFlow's C API when it is loaded; CPU, float32.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernelCall.h"
#include "threadPool.h"
#include "vectorMath.h"

namespace cirkd {
namespace {

constexpr int64_t kLanes = 16;

// One network's logits of some positions, transposed: [class][lane]. They become exponentials; the sums and the largest logits are
// per lane.
struct Lanes {
  float* logits;
  float largest[kLanes], sum[kLanes];
};

CIRKD_INLINE void Load(const float* from, int64_t positions, int64_t classes, float inverse_temperature,
                       Lanes* to) {
  std::fill_n(to->logits, classes * kLanes, 0.0f);
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t k = 0; k < classes; ++k) {
      to->logits[k * kLanes + i] = from[i * classes + k] * inverse_temperature;
    }
  }
#pragma omp simd
  for (int64_t i = 0; i < kLanes; ++i) to->largest[i] = to->logits[i];
  for (int64_t k = 1; k < classes; ++k) {
#pragma omp simd
    for (int64_t i = 0; i < kLanes; ++i) {
      const float value = to->logits[k * kLanes + i];
      to->largest[i] = value > to->largest[i] ? value : to->largest[i];
    }
  }
}

// cross: the sum of exp(teacher - largest) (teacher - student), both without their largest logits.
CIRKD_INLINE void Exponentials(int64_t classes, Lanes* student, Lanes* teacher, float* cross) {
  for (int64_t i = 0; i < kLanes; ++i) student->sum[i] = teacher->sum[i] = cross[i] = 0.0f;
  for (int64_t k = 0; k < classes; ++k) {
    float* const s = student->logits + k * kLanes;
    float* const t = teacher->logits + k * kLanes;
#pragma omp simd
    for (int64_t i = 0; i < kLanes; ++i) {
      const float own = s[i] - student->largest[i], target = t[i] - teacher->largest[i];
      s[i] = Exp(own);
      t[i] = Exp(target);
      student->sum[i] += s[i];
      teacher->sum[i] += t[i];
      cross[i] += t[i] * (target - own);
    }
  }
}

struct ClassKl {
  const float *student, *teacher;
  int64_t classes;
  float inverse_temperature, factor;
  float *gradient, *kl;
};

// Positions [begin, begin + positions), at most kLanes. room: 2 * classes * kLanes.
CIRKD_VECTORISED void Positions(const ClassKl& of, int64_t begin, int64_t positions, float* room) {
  const int64_t classes = of.classes;
  Lanes student = {room, {}, {}}, teacher = {room + classes * kLanes, {}, {}};
  float cross[kLanes];
  Load(of.student + begin * classes, positions, classes, of.inverse_temperature, &student);
  Load(of.teacher + begin * classes, positions, classes, of.inverse_temperature, &teacher);
  Exponentials(classes, &student, &teacher, cross);
  float own[kLanes], target[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    own[i] = of.factor / student.sum[i];
    target[i] = of.factor / teacher.sum[i];
  }
  for (int64_t k = 0; k < classes; ++k) {
    float* const s = student.logits + k * kLanes;
    const float* const t = teacher.logits + k * kLanes;
#pragma omp simd
    for (int64_t i = 0; i < kLanes; ++i) s[i] = s[i] * own[i] - t[i] * target[i];
  }
  for (int64_t i = 0; i < positions; ++i) {
    float* const out = of.gradient + (begin + i) * classes;
    for (int64_t k = 0; k < classes; ++k) out[k] = student.logits[k * kLanes + i];
    of.kl[begin + i] = cross[i] / teacher.sum[i] + std::log(student.sum[i] / teacher.sum[i]);
  }
}

void ComputeClassKl(Call* call) {
  std::vector<int64_t> shape;
  ClassKl of;
  of.student = call->Input(0, &shape);
  if (of.student == nullptr || !call->Require(shape.size() == 2, "student: not a matrix")) return;
  if (!call->InputOf(1, shape, "teacher: another shape than student", &of.teacher)) return;
  const float* numbers;
  if (!call->InputOf(2, {2}, "numbers: not inverse temperature and factor", &numbers)) return;
  of.classes = shape[1];
  of.inverse_temperature = numbers[0];
  of.factor = numbers[1];
  of.gradient = call->Output(0, shape);
  of.kl = call->Output(1, {shape[0]});
  if (of.gradient == nullptr || of.kl == nullptr || !call->Require(of.classes > 0, "no classes")) return;
  const int64_t rows = shape[0], groups = (rows + kLanes - 1) / kLanes;
  const int parts = PartsFor(groups, rows * of.classes);
  Pool::Get().Run(parts, [&](int part) {
    std::vector<float> room(2 * of.classes * kLanes);
    for (int64_t group = groups * part / parts; group < groups * (part + 1) / parts; ++group) {
      const int64_t begin = group * kLanes;
      Positions(of, begin, std::min(kLanes, rows - begin), room.data());
    }
  });
}

const bool registered = [] {
  Register<ComputeClassKl>("CirkdClassKl", {"student: float", "teacher: float", "numbers: float"},
                           {"gradient: float", "kl: float"});
  return true;
}();

}  // namespace
}  // namespace cirkd
