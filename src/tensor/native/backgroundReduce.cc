// All-reduces that run while the computing thread computes.
//
// TensorFlow's collectives block the thread that runs them, and Node.js has one thread that computes. So a thread of the
// addon runs CollectiveReduceV2, one after the other in the order in which they were started: that order is the same
// on all ranks, so no two ranks wait for each other in different reductions. Meanwhile the computing thread may run other
// collectives, whose keys differ.
//
// Tensors are counted references, so it doesn't matter what the caller does with its own meanwhile. A group that is
// over (collectives.cc) ends the pending reduction and each later one with an error.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "collectives.h"
#include "kernelCall.h"
#include "reduceOp.h"

namespace cirkd {
namespace {

struct Reduction {
  OwnedTensor given;
  ReduceGroup group;
  bool is_mean;
  // Of the collective itself, waits for other ranks included.
  double seconds = 0;
  // Null after an error.
  OwnedTensor reduced;
  TF_Code code = TF_OK;
  std::string message;
  bool is_done = false;
};

// Those that were started and not yet ended or forgotten, by ticket, and the thread that runs them.
class Reductions {
 public:
  // Never destroyed: its thread may still run while the process ends.
  static Reductions& Get() {
    static Reductions* const reductions = new Reductions;
    return *reductions;
  }

  void Start(int32_t ticket, std::shared_ptr<Reduction> reduction) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!has_thread_) std::thread([this] { RunAll(); }).detach();
    has_thread_ = true;
    started_[ticket] = reduction;
    queue_.push(std::move(reduction));
    changed_.notify_all();
  }

  // Waits for it; null if there is none of this ticket.
  std::shared_ptr<Reduction> End(int32_t ticket) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto found = started_.find(ticket);
    if (found == started_.end()) return nullptr;
    const std::shared_ptr<Reduction> reduction = found->second;
    const WaitsForOthers waits;
    changed_.wait(lock, [&] { return reduction->is_done; });
    started_.erase(ticket);
    return reduction;
  }

  // It still runs, since the other ranks run theirs.
  void Forget(int32_t ticket) {
    const std::lock_guard<std::mutex> lock(mutex_);
    started_.erase(ticket);
  }

 private:
  void RunAll() {
    CollectivesOfThisThreadAreInBackground();
    for (;;) {
      const std::shared_ptr<Reduction> reduction = Next();
      const auto begin = std::chrono::steady_clock::now();
      ReduceOp op;
      reduction->reduced = op.Run(std::move(reduction->given), reduction->group, reduction->is_mean);
      reduction->code = op.code();
      if (reduction->reduced == nullptr) reduction->message = op.message();
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
      const std::lock_guard<std::mutex> lock(mutex_);
      reduction->seconds = taken.count();
      reduction->is_done = true;
      changed_.notify_all();
    }
  }

  std::shared_ptr<Reduction> Next() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty(); });
    std::shared_ptr<Reduction> next = std::move(queue_.front());
    queue_.pop();
    return next;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int32_t, std::shared_ptr<Reduction>> started_;
  std::queue<std::shared_ptr<Reduction>> queue_;
  bool has_thread_ = false;
};

// The numbers of an input; null unless there are `count`.
const int32_t* Numbers(Call* call, int index, int64_t count) {
  std::vector<int64_t> shape;
  const int32_t* const numbers = call->Input<int32_t>(index, &shape);
  if (numbers == nullptr) return nullptr;
  const bool fits = shape == std::vector<int64_t>{count};
  return call->Require(fits, "numbers: another count") ? numbers : nullptr;
}

// Inputs: what to reduce, float32; (ticket, size of the group, its key, instance key, 1 for the mean or 0 for the sum).
void ComputeStart(Call* call) {
  const int32_t* const numbers = Numbers(call, 1, 5);
  if (numbers == nullptr) return;
  const char* const missing = "no group: its server was never started";
  if (!call->Require(GroupContext() != nullptr, missing)) return;
  auto reduction = std::make_shared<Reduction>();
  reduction->given = OwnedTensor(call->TakeInput(0));
  if (reduction->given == nullptr) return;
  reduction->group = {numbers[1], numbers[2], numbers[3]};
  reduction->is_mean = numbers[4] == 1;
  Reductions::Get().Start(numbers[0], std::move(reduction));
}

// Input: the ticket. Outputs: the result, and the seconds that the collective took.
void ComputeEnd(Call* call) {
  const int32_t* const ticket = Numbers(call, 0, 1);
  if (ticket == nullptr) return;
  const std::shared_ptr<Reduction> reduction = Reductions::Get().End(*ticket);
  if (!call->Require(reduction != nullptr, "no reduction of this ticket")) return;
  if (reduction->reduced == nullptr) {
    call->Fail(reduction->code, reduction->message.c_str());
    return;
  }
  call->SetOutput(0, reduction->reduced.get());
  float* const seconds = call->Output(1, {});
  if (seconds != nullptr) *seconds = static_cast<float>(reduction->seconds);
}

// Input: the ticket.
void ComputeForget(Call* call) {
  const int32_t* const ticket = Numbers(call, 0, 1);
  if (ticket != nullptr) Reductions::Get().Forget(*ticket);
}

[[maybe_unused]] const bool registered = [] {
  Register<ComputeStart>("CirkdReduceStart", {"x: float", "numbers: int32"}, {});
  Register<ComputeEnd>("CirkdReduceEnd", {"ticket: int32"}, {"reduced: float", "seconds: float"});
  Register<ComputeForget>("CirkdReduceForget", {"ticket: int32"}, {});
  return true;
}();

}  // namespace
}  // namespace cirkd
