// CirkdUseProcessors: all threads of this process, and those that they start, run on the given processors only.
#if defined(__linux__)
#include <dirent.h>
#include <sched.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "../kernelCall.h"

namespace cirkd {
namespace {

#if defined(__linux__)
// The threads of this process.
std::vector<int> Threads() {
  std::vector<int> found;
  DIR* const folder = opendir("/proc/self/task");
  if (folder == nullptr) return found;
  while (const dirent* const entry = readdir(folder)) {
    if (const int thread = std::atoi(entry->d_name)) found.push_back(thread);
  }
  closedir(folder);
  return found;
}

class ProcessorSet {
 public:
  ProcessorSet(const int32_t* processors, int64_t count) {
    const int most = *std::max_element(processors, processors + count) + 1;
    size_ = CPU_ALLOC_SIZE(most);
    set_ = CPU_ALLOC(most);
    if (set_ == nullptr) return;
    CPU_ZERO_S(size_, set_);
    for (int64_t i = 0; i < count; ++i) CPU_SET_S(processors[i], size_, set_);
  }
  ProcessorSet(const ProcessorSet&) = delete;
  ProcessorSet& operator=(const ProcessorSet&) = delete;
  ~ProcessorSet() {
    if (set_ != nullptr) CPU_FREE(set_);
  }

  // 0, or the error's number.
  int Pin(int thread) const {
    if (set_ == nullptr) return ENOMEM;
    return sched_setaffinity(thread, size_, set_) == 0 ? 0 : errno;
  }

 private:
  cpu_set_t* set_ = nullptr;
  size_t size_ = 0;
};

// A thread that is started meanwhile by one that wasn't pinned yet is found by the next pass.
int PinAll(const ProcessorSet& processors, std::set<int>* pinned) {
  constexpr int kMostPasses = 100;
  for (int pass = 0; pass < kMostPasses; ++pass) {
    const size_t before = pinned->size();
    for (const int thread : Threads()) {
      if (pinned->count(thread) > 0) continue;
      const int fault = processors.Pin(thread);
      if (fault == ESRCH) continue;  // It has ended.
      if (fault != 0) return fault;
      pinned->insert(thread);
    }
    if (pinned->size() == before) break;
  }
  return 0;
}
#endif

// Input: the processors' numbers. Output: how many threads there were.
void ComputeUseProcessors(Call* call) {
  std::vector<int64_t> shape;
  const int32_t* const processors = call->Input<int32_t>(0, &shape);
  if (processors == nullptr) return;
  bool are_processors = shape.size() == 1 && shape[0] > 0;
  for (int64_t i = 0; are_processors && i < shape[0]; ++i) are_processors &= processors[i] >= 0;
  if (!call->Require(are_processors, "processors: not a list of numbers")) return;
  int32_t* const threads = call->Output<int32_t>(0, {});
  if (threads == nullptr) return;
#if defined(__linux__)
  std::set<int> pinned;
  const int fault = PinAll(ProcessorSet(processors, shape[0]), &pinned);
  if (fault != 0) return call->Fail(TF_INVALID_ARGUMENT, std::strerror(fault));
  *threads = static_cast<int32_t>(pinned.size());
#else
  *threads = 0;
  call->Fail(TF_UNIMPLEMENTED, "only Linux can do this");
#endif
}

const bool registered = [] {
  Register<ComputeUseProcessors>("CirkdUseProcessors", {"processors: int32"}, {"threads: int32"});
  return true;
}();

}  // namespace
}  // namespace cirkd
