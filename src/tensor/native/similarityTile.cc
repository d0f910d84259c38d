// Two TensorFlow ops for tiles of similarity matrices, CirkdExpSums and CirkdKlTile, that go over a
// tile once where TensorFlow's own ops would go over it ten times. ../ops/similarity.ts has their
// formulas and composes the same from TensorFlow's ops for other devices.
//
// Part of the addon, registered through TensorFlow's C API when that is loaded; CPU, float32.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "kernelApi.h"

// One copy of a function a level of vector instructions; the loader picks the best that the processor
// has. Names of processors would not do: GCC takes them for these very models.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define CIRKD_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CIRKD_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define CIRKD_VECTORISED
#endif

namespace {

// Columns that are worked on together: their sums and factors stay in the first-level cache.
constexpr int64_t kStrip = 512;
// Below so many elements a second thread costs more than it saves.
constexpr int64_t kElementsPerThread = 1 << 15;

// exp(x) to about 1e-7 of itself: 2^n * e^r with |r| <= ln 2 / 2, e^r by its Taylor polynomial, in a
// form that the compiler vectorises. Clamped to float32's range of normal numbers; NaN stays NaN.
inline float Exp(float x) {
  const float clamped = x > 88.0f ? 88.0f : (x < -87.0f ? -87.0f : x);
  const float n = __builtin_rintf(clamped * 1.44269504088896341f);
  // ln 2 in two parts: the first has few bits, so that its product with n is exact.
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440054690583e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t scale_bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &scale_bits, sizeof(scale));
  return x != x ? x : p * scale;
}

CIRKD_VECTORISED void ExpSums(const float* x, int64_t columns, int64_t begin, int64_t end,
                              float* row_sums, float* column_sums) {
  for (int64_t at = 0; at < columns; at += kStrip) {
    const int64_t width = std::min(kStrip, columns - at);
    float* const sums = column_sums + at;
    for (int64_t row = begin; row < end; ++row) {
      const float* const values = x + row * columns + at;
      float total = 0.0f;
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < width; ++i) {
        const float e = Exp(values[i]);
        sums[i] += e;
        total += e;
      }
      row_sums[row] += total;
    }
  }
}

CIRKD_VECTORISED double KlRows(const float* s, const float* t, const float* student_rows,
                               const float* student_columns, const float* teacher_rows,
                               const float* teacher_columns, int64_t columns, int64_t begin,
                               int64_t end, float* gradient) {
  double sum = 0.0;
  for (int64_t row = begin; row < end; ++row) {
    const float student_row = student_rows[row];
    const float teacher_row = teacher_rows[row];
    const float* const s_row = s + row * columns;
    const float* const t_row = t + row * columns;
    float* const g_row = gradient + row * columns;
    float row_sum = 0.0f;
#pragma omp simd reduction(+ : row_sum)
    for (int64_t i = 0; i < columns; ++i) {
      const float p = Exp(t_row[i]) * (teacher_row + teacher_columns[i]);
      const float q = Exp(s_row[i]) * (student_row + student_columns[i]);
      g_row[i] = q - p;
      row_sum += p * (t_row[i] - s_row[i]);
    }
    sum += row_sum;
  }
  return sum;
}

// Threads that wait for work: with the caller's own as many as TensorFlow has inside one op.
class Pool {
 public:
  static Pool& Get() {
    static Pool* const pool = new Pool(Size());  // Never destroyed: its threads outlive main().
    return *pool;
  }

  int size() const { return size_; }

  // Calls work(part) for part 0 ... parts - 1, part 0 on the calling thread, and waits for all.
  void Run(int parts, const std::function<void(int)>& work) {
    if (parts <= 1) {
      work(0);
      return;
    }
    std::lock_guard<std::mutex> one_at_a_time(callers_);
    pending_.store(parts - 1, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      work_ = &work;
      parts_ = parts;
      generation_ += 1;
    }
    wake_.notify_all();
    work(0);
    // The parts are of one size, so the others mostly end within moments.
    for (int i = 0; i < kSpins && pending_.load(std::memory_order_acquire) > 0; ++i) {
      std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return pending_.load(std::memory_order_acquire) == 0; });
  }

 private:
  static constexpr int kSpins = 2000;

  explicit Pool(int size) : size_(size) {
    for (int part = 1; part < size; ++part) std::thread([this, part] { Loop(part); }).detach();
  }

  static int Size() {
    const char* const given = std::getenv("TF_NUM_INTRAOP_THREADS");
    const int wanted = given == nullptr ? 0 : std::atoi(given);
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    return std::max(1, wanted > 0 ? wanted : cores);
  }

  void Loop(int part) {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (part >= parts_) continue;
      const std::function<void(int)>& work = *work_;
      lock.unlock();
      work(part);
      lock.lock();
      if (pending_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_one();
    }
  }

  const int size_;
  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int)>* work_ = nullptr;
  int parts_ = 0;
  uint64_t generation_ = 0;
  std::atomic<int> pending_{0};
};

int PartsFor(int64_t rows, int64_t columns) {
  const int64_t useful = std::max<int64_t>(1, rows * columns / kElementsPerThread);
  return static_cast<int>(std::min<int64_t>({useful, rows, Pool::Get().size()}));
}

// The inputs and outputs of one call; the first fault is reported and ends it.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    for (TF_Tensor* tensor : tensors_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }

  const float* Input(int index, std::vector<int64_t>* shape) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    if (!Ok()) return nullptr;
    tensors_.push_back(tensor);
    shape->clear();
    for (int i = 0; i < TF_NumDims(tensor); ++i) shape->push_back(TF_Dim(tensor, i));
    return static_cast<const float*>(TF_TensorData(tensor));
  }

  float* Output(int index, const std::vector<int64_t>& shape) {
    int64_t length = 1;
    for (const int64_t side : shape) length *= side;
    TF_Tensor* const tensor =
        TF_AllocateOutput(context_, index, TF_FLOAT, shape.data(), static_cast<int>(shape.size()),
                          length * sizeof(float), status_);
    if (!Ok()) return nullptr;
    tensors_.push_back(tensor);
    return static_cast<float*>(TF_TensorData(tensor));
  }

  bool Require(bool holds, const char* what) {
    if (!holds) TF_SetStatus(status_, TF_INVALID_ARGUMENT, what);
    return Ok();
  }

 private:
  bool Ok() {
    if (TF_GetCode(status_) == TF_OK) return true;
    TF_OpKernelContext_Failure(context_, status_);
    return false;
  }

  TF_OpKernelContext* const context_;
  TF_Status* const status_;
  std::vector<TF_Tensor*> tensors_;
};

void ComputeExpSums(void*, TF_OpKernelContext* context) {
  Call call(context);
  std::vector<int64_t> shape;
  const float* const x = call.Input(0, &shape);
  if (x == nullptr || !call.Require(shape.size() == 2, "x: not a matrix")) return;
  const int64_t rows = shape[0], columns = shape[1];
  float* const row_sums = call.Output(0, {rows});
  float* const column_sums = call.Output(1, {columns});
  if (row_sums == nullptr || column_sums == nullptr) return;
  const int parts = PartsFor(rows, columns);
  std::vector<std::vector<float>> partial(parts, std::vector<float>(columns, 0.0f));
  std::fill(row_sums, row_sums + rows, 0.0f);
  Pool::Get().Run(parts, [&](int part) {
    ExpSums(x, columns, rows * part / parts, rows * (part + 1) / parts, row_sums,
            partial[part].data());
  });
  for (int64_t i = 0; i < columns; ++i) {
    column_sums[i] = 0.0f;
    for (int part = 0; part < parts; ++part) column_sums[i] += partial[part][i];
  }
}

void ComputeKlTile(void*, TF_OpKernelContext* context) {
  Call call(context);
  std::vector<int64_t> shape, other;
  const float* const s = call.Input(0, &shape);
  if (s == nullptr || !call.Require(shape.size() == 2, "student: not a matrix")) return;
  const int64_t rows = shape[0], columns = shape[1];
  const float* const t = call.Input(1, &other);
  if (t == nullptr || !call.Require(other == shape, "teacher: another shape than student")) return;
  const float* factors[4];
  for (int i = 0; i < 4; ++i) {
    factors[i] = call.Input(2 + i, &other);
    const int64_t wanted = i % 2 == 0 ? rows : columns;
    if (factors[i] == nullptr ||
        !call.Require(other.size() == 1 && other[0] == wanted, "factors: wrong length")) {
      return;
    }
  }
  float* const gradient = call.Output(0, {rows, columns});
  float* const sum = call.Output(1, {1});
  if (gradient == nullptr || sum == nullptr) return;
  const int parts = PartsFor(rows, columns);
  std::vector<double> sums(parts, 0.0);
  Pool::Get().Run(parts, [&](int part) {
    sums[part] = KlRows(s, t, factors[0], factors[1], factors[2], factors[3], columns,
                        rows * part / parts, rows * (part + 1) / parts, gradient);
  });
  double total = 0.0;
  for (const double part : sums) total += part;
  *sum = static_cast<float>(total);
}

// A fault here is a fault of the build: the op is then missing, and whoever runs it hears so.
void Register(const char* op, const std::vector<const char*>& inputs,
              const std::vector<const char*>& outputs,
              void (*compute)(void*, TF_OpKernelContext*)) {
  TF_Status* const status = TF_NewStatus();
  TF_OpDefinitionBuilder* const definition = TF_NewOpDefinitionBuilder(op);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(definition, output);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(
      definition, [](TF_ShapeInferenceContext* context, TF_Status* unknown) {
        TF_ShapeInferenceContextSetUnknownShape(context, unknown);
      });
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* const kernel = TF_NewKernelBuilder(op, "CPU", nullptr, compute, nullptr);
    TF_RegisterKernelBuilder(op, kernel, status);
  }
  if (TF_GetCode(status) != TF_OK) std::fprintf(stderr, "%s: %s\n", op, TF_Message(status));
  TF_DeleteStatus(status);
}

const bool registered = [] {
  Register("CirkdExpSums", {"x: float"}, {"rows: float", "columns: float"}, ComputeExpSums);
  Register("CirkdKlTile",
           {"student: float", "teacher: float", "student_rows: float", "student_columns: float",
            "teacher_rows: float", "teacher_columns: float"},
           {"gradient: float", "sum: float"}, ComputeKlTile);
  return true;
}();

}  // namespace
