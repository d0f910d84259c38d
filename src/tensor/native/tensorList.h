// Lists of tensors as inputs of one op, whose elements are divided among the threads as if they were one vector.
#ifndef CIRKD_NATIVE_TENSOR_LIST_H_
#define CIRKD_NATIVE_TENSOR_LIST_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernelCall.h"
#include "threadPool.h"

namespace cirkd {

inline int64_t ElementsOf(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t side : shape) elements *= side;
  return elements;
}

// Where each tensor of a list begins, counted in elements over all of them.
class TensorList {
 public:
  void Add(int64_t elements) { begins_.push_back(begins_.back() + elements); }

  int64_t elements() const { return begins_.back(); }
  int parts() const { return PartsFor(elements(), elements()); }

  // Calls work(tensor, first, count) with the elements of each tensor that belong to a part.
  template <typename Work>
  void ForPart(int part, const Work& work) const {
    const int64_t begin = elements() * part / parts(), end = elements() * (part + 1) / parts();
    for (size_t tensor = 0; tensor + 1 < begins_.size(); ++tensor) {
      const int64_t first = std::max(begin, begins_[tensor]);
      const int64_t last = std::min(end, begins_[tensor + 1]);
      if (first < last) work(static_cast<int>(tensor), first - begins_[tensor], last - first);
    }
  }

 private:
  std::vector<int64_t> begins_{0};
};

}  // namespace cirkd

#endif  // CIRKD_NATIVE_TENSOR_LIST_H_
