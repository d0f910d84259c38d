// The kernels' thread pool, because TensorFlow's own can't be used through its C API. One pool per
// process; the first call determines its size and its threads' priority.
#ifndef CIRKD_NATIVE_THREAD_POOL_H_
#define CIRKD_NATIVE_THREAD_POOL_H_

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace cirkd {

// Worker threads: together with the calling thread as many as TensorFlow uses inside one op.
class Pool {
 public:
  static Pool& Get() {
    static Pool* const pool = new Pool(Size());  // Never destroyed: its threads outlive main().
    return *pool;
  }

  int size() const { return size_; }

  // Calls work(part) for part 0 ... parts - 1 and waits for all of them. Each free thread, the caller's
  // included, takes the next part: if other programs keep the pool's threads from running, the caller does
  // all the work. Rethrows an exception of `work`.
  void Run(int parts, const std::function<void(int)>& work) {
    if (parts <= 1) {
      work(0);
      return;
    }
    std::lock_guard<std::mutex> one_at_a_time(callers_);
    std::unique_lock<std::mutex> lock(mutex_);
    work_ = &work;
    parts_ = parts;
    next_ = 0;
    unfinished_.store(parts, std::memory_order_relaxed);
    generation_ += 1;
    wake_.notify_all();
    TakeParts(&lock);
    lock.unlock();
    // The remaining parts usually end within moments. Spins first, because a thread that gives up the
    // processor may wait long to get it back.
    for (int i = 0; i < kSpins && unfinished_.load(std::memory_order_acquire) > 0; ++i) Pause();
    lock.lock();
    done_.wait(lock, [this] { return unfinished_.load(std::memory_order_acquire) == 0; });
    work_ = nullptr;
    if (fault_ != nullptr) std::rethrow_exception(std::exchange(fault_, nullptr));
  }

 private:
  static constexpr int kSpins = 2000;

  static void Pause() {
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
  }

  // Works on parts until all of them are taken. The lock is held before and after.
  void TakeParts(std::unique_lock<std::mutex>* lock) {
    while (next_ < parts_) {
      const int part = next_++;
      const std::function<void(int)>& work = *work_;
      lock->unlock();
      std::exception_ptr fault;
      try {
        work(part);
      } catch (...) {
        fault = std::current_exception();
      }
      lock->lock();
      if (fault != nullptr) fault_ = fault;
      if (unfinished_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_one();
    }
  }

  explicit Pool(int size) {
    while (size_ < size) {
      try {
        std::thread([this] { Loop(); }).detach();
      } catch (const std::system_error&) {
        return;  // The system allows no more threads: those that exist have to do.
      }
      ++size_;
    }
  }

  static int Size() {
    const char* const given = std::getenv("TF_NUM_INTRAOP_THREADS");
    const int wanted = given == nullptr ? 0 : std::atoi(given);
    return std::max(1, wanted > 0 ? wanted : UsableCores());
  }

  static int UsableCores() {
#if defined(__linux__)
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return CPU_COUNT(&cores);
#endif
    return static_cast<int>(std::thread::hardware_concurrency());
  }

  // As TensorFlow's threads do: computing with denormals takes a hundred times as long.
  static void FlushDenormals() {
#if defined(__SSE__)
    constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
    _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
#elif defined(__aarch64__)
    constexpr uint64_t kFlushToZero = 1u << 24;
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | kFlushToZero));
#endif
  }

  void Loop() {
    FlushDenormals();
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      TakeParts(&lock);
    }
  }

  int size_ = 1;  // Includes the calling thread.
  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int)>* work_ = nullptr;
  int parts_ = 0;
  int next_ = 0;  // The first part that isn't taken.
  uint64_t generation_ = 0;
  std::atomic<int> unfinished_{0};
  std::exception_ptr fault_;
};

// With fewer elements, another thread costs more than it saves.
constexpr int64_t kElementsPerThread = 1 << 15;

// The number of parts into which work with the given pieces and elements is divided.
inline int PartsFor(int64_t pieces, int64_t elements) {
  const int64_t useful = std::max<int64_t>(1, elements / kElementsPerThread);
  const int64_t parts = std::min<int64_t>({useful, pieces, Pool::Get().size()});
  return static_cast<int>(std::max<int64_t>(1, parts));
}

}  // namespace cirkd

#endif  // CIRKD_NATIVE_THREAD_POOL_H_
