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

extern "C" {
TFE_Op* TFE_NewOp(TFE_Context* context, const char* name, TF_Status* status);
void TFE_DeleteOp(TFE_Op* op);
void TFE_OpAddInput(TFE_Op* op, TFE_TensorHandle* input, TF_Status* status);
void TFE_OpSetAttrType(TFE_Op* op, const char* name, TF_DataType value);
void TFE_OpSetAttrInt(TFE_Op* op, const char* name, int64_t value);
void TFE_OpSetAttrFloat(TFE_Op* op, const char* name, float value);
void TFE_OpSetAttrString(TFE_Op* op, const char* name, const void* value, size_t length);
void TFE_Execute(TFE_Op* op, TFE_TensorHandle** results, int* num_results, TF_Status* status);
TFE_TensorHandle* TFE_NewTensorHandle(const TF_Tensor* tensor, TF_Status* status);
void TFE_DeleteTensorHandle(TFE_TensorHandle* handle);
TF_Tensor* TFE_TensorHandleResolve(TFE_TensorHandle* handle, TF_Status* status);
}

namespace cirkd {
namespace {

struct TensorDeleter {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using OwnedTensor = std::unique_ptr<TF_Tensor, TensorDeleter>;

struct Group {
  int32_t size;
  int32_t group_key;
  int32_t instance_key;
};

struct Reduction {
  OwnedTensor given;
  Group group;
  bool is_mean;
  // Of the collective itself, waits for other ranks included.
  double seconds = 0;
  // Null after an error.
  OwnedTensor reduced;
  TF_Code code = TF_OK;
  std::string message;
  bool is_done = false;
};

// One CollectiveReduceV2 in TensorFlow's eager runtime.
class ReduceOp {
 public:
  ReduceOp() : status_(TF_NewStatus()) {}
  ~ReduceOp() {
    for (TFE_TensorHandle* handle : handles_) TFE_DeleteTensorHandle(handle);
    if (op_ != nullptr) TFE_DeleteOp(op_);
    TF_DeleteStatus(status_);
  }

  void Run(Reduction* reduction) {
    reduction->reduced = OwnedTensor(Result(reduction));
    reduction->code = TF_GetCode(status_);
    if (!Ok()) reduction->message = TF_Message(status_);
  }

 private:
  bool Ok() const { return TF_GetCode(status_) == TF_OK; }

  TF_Tensor* Result(Reduction* reduction) {
    op_ = TFE_NewOp(GroupContext(), "CollectiveReduceV2", status_);
    if (!Ok() || !Add(std::move(reduction->given))) return nullptr;
    const Group& group = reduction->group;
    for (const int32_t number : {group.size, group.group_key, group.instance_key}) {
      OwnedTensor scalar(TF_AllocateTensor(TF_INT32, nullptr, 0, sizeof number));
      *static_cast<int32_t*>(TF_TensorData(scalar.get())) = number;
      if (!Add(std::move(scalar))) return nullptr;
    }
    TFE_OpSetAttrType(op_, "T", TF_FLOAT);
    SetText("merge_op", "Add");
    SetText("final_op", reduction->is_mean ? "Div" : "Id");
    SetText("communication_hint", "auto");
    // As in ../ops/collective.ts: collectives.cc has the limit.
    TFE_OpSetAttrFloat(op_, "timeout_seconds", 0);
    TFE_OpSetAttrInt(op_, "Nordering_token", 0);
    TFE_TensorHandle* result = nullptr;
    int count = 1;
    TFE_Execute(op_, &result, &count, status_);
    if (!Ok()) return nullptr;
    handles_.push_back(result);
    return TFE_TensorHandleResolve(result, status_);
  }

  bool Add(OwnedTensor tensor) {
    TFE_TensorHandle* const handle = TFE_NewTensorHandle(tensor.get(), status_);
    if (!Ok()) return false;
    handles_.push_back(handle);
    TFE_OpAddInput(op_, handle, status_);
    return Ok();
  }

  void SetText(const char* name, const std::string& value) {
    TFE_OpSetAttrString(op_, name, value.data(), value.size());
  }

  TF_Status* const status_;
  TFE_Op* op_ = nullptr;
  std::vector<TFE_TensorHandle*> handles_;
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
      ReduceOp().Run(reduction.get());
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
