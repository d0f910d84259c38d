// Memory for the similarity kernels.
#ifndef CIRKD_NATIVE_SIMILARITY_LINE_FLOATS_H_
#define CIRKD_NATIVE_SIMILARITY_LINE_FLOATS_H_

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdint>
#include <new>

namespace cirkd {

// Floats that begin at a cache line, so that vectors of panels never span two. Large ones begin at a huge page and ask for such
// pages: a loss's exponentials are new memory in each step, and with pages of 4 KiB a quarter of its time went into them.
class LineFloats {
 public:
  explicit LineFloats(int64_t length)
      : alignment_(length * sizeof(float) < kHugePage ? kLine : std::align_val_t{kHugePage}),
        values_(static_cast<float*>(::operator new(length * sizeof(float), alignment_))) {
#if defined(__linux__)
    const int64_t whole = length * sizeof(float) / kHugePage * kHugePage;
    // Where the system refuses, the pages are small.
    if (whole > 0) madvise(values_, whole, MADV_HUGEPAGE);
#endif
  }
  LineFloats(int64_t length, float value) : LineFloats(length) {
    std::fill(values_, values_ + length, value);
  }
  ~LineFloats() { ::operator delete(values_, alignment_); }
  LineFloats(const LineFloats&) = delete;
  LineFloats& operator=(const LineFloats&) = delete;

  float* data() const { return values_; }

 private:
  static constexpr std::align_val_t kLine{64};
  static constexpr size_t kHugePage = size_t{1} << 21;

  const std::align_val_t alignment_;
  float* const values_;
};

}  // namespace cirkd

#endif  // CIRKD_NATIVE_SIMILARITY_LINE_FLOATS_H_
