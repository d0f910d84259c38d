// Joins TensorFlow's collective runtime, and watches the other processes of the group.
//
// The runtime has to be opened between the creation of the context and the first tensor, and tfjs-node
// creates the context while the addon is loaded. So the addon is linked such that its call of
// TFE_NewContext comes here (services/setup/addon.mjs, ld's --wrap). The environment variable
// CIRKD_COLLECTIVE_SERVER holds the ServerDef in hex (src/collectives/serverDef.ts); without it nothing
// changes.
//
// A collective waits for a frozen peer for ever, so a thread per peer asks for its health and aborts
// the pending collective if there is no answer in time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernelCall.h"

extern "C" {
struct TFE_Context;
struct TFE_ContextOptions;

TFE_Context* __real_TFE_NewContext(const TFE_ContextOptions* options, TF_Status* status);
void TFE_DeleteContext(TFE_Context* context);
void TFE_EnableCollectiveOps(TFE_Context* context, const void* proto, size_t length,
                             TF_Status* status);
void TFE_AbortCollectiveOps(TFE_Context* context, TF_Status* status);
void TFE_CollectiveOpsCheckPeerHealth(TFE_Context* context, const char* task, int64_t timeout_ms,
                                      TF_Status* status);
}

namespace cirkd {
namespace {

// The context whose collectives are open; null in a process without a group.
std::atomic<TFE_Context*> group_context{nullptr};

// Whether this process is to end, whatever its ranks do.
std::atomic<bool> interrupted{false};

struct LostPeer {
  int rank;
  std::string reason;
};

// The threads that ask peers for their health, and the peers that did not answer.
class Peers {
 public:
  // Never destroyed: its threads may still run while the process ends.
  static Peers& Get() {
    static Peers* const peers = new Peers;
    return *peers;
  }

  // Asks every other rank each `interval_ms` until Stop() or its first failure.
  void Watch(int own, int size, int interval_ms, int timeout_ms) {
    const int64_t round = Begin();
    for (int rank = 0; rank < size; ++rank) {
      if (rank == own) continue;
      std::thread([=] { Ask(round, rank, interval_ms, timeout_ms); }).detach();
    }
  }

  void Stop() { Begin(); }

  // Asks every other rank once, all at the same time, unless one is known to be lost.
  void CheckNow(int own, int size, int timeout_ms) {
    if (!Lost().empty() || interrupted.load()) return;
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      if (rank == own) continue;
      threads.emplace_back([=] { CheckOne(rank, timeout_ms); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  std::vector<LostPeer> Lost() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return lost_;
  }

 private:
  // Ends the threads of earlier rounds and returns the number of the next.
  int64_t Begin() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++round_;
    wake_.notify_all();
    return round_;
  }

  void Ask(int64_t round, int rank, int interval_ms, int timeout_ms) {
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait_for(lock, std::chrono::milliseconds(interval_ms),
                       [&] { return round_ != round; });
        if (round_ != round) return;
      }
      if (CheckOne(rank, timeout_ms, &round)) continue;
      return;
    }
  }

  // True if the peer answered, or if the answer no longer matters because the round is over.
  bool CheckOne(int rank, int timeout_ms, const int64_t* round = nullptr) {
    TFE_Context* const context = group_context.load();
    if (context == nullptr) return true;
    TF_Status* const status = TF_NewStatus();
    const std::string task = "/job:worker/replica:0/task:" + std::to_string(rank);
    TFE_CollectiveOpsCheckPeerHealth(context, task.c_str(), timeout_ms, status);
    const bool answered = TF_GetCode(status) == TF_OK;
    if (!answered && Note(rank, TF_Message(status), round)) {
      const std::string message = "rank " + std::to_string(rank) + " lost";
      TF_SetStatus(status, TF_UNAVAILABLE, message.c_str());
      TFE_AbortCollectiveOps(context, status);
    }
    TF_DeleteStatus(status);
    return answered;
  }

  // Records a lost peer; false if the round that asked is over.
  bool Note(int rank, const char* reason, const int64_t* round) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (round != nullptr && *round != round_) return false;
    for (const LostPeer& known : lost_) {
      if (known.rank == rank) return true;
    }
    lost_.push_back({rank, reason});
    return true;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  int64_t round_ = 0;
  std::vector<LostPeer> lost_;
};

// A thread inside a collective can't be ended, and Node.js waits for it at its exit. So SIGURG, which nothing
// else uses and which is harmless before this handler is there, aborts the pending collective.
void ListenForInterrupt(TFE_Context* context) {
  std::signal(SIGURG, [](int) { interrupted.store(true); });
  std::thread([context] {
    while (!interrupted.load()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    TF_Status* const status = TF_NewStatus();
    TF_SetStatus(status, TF_CANCELLED, "this process is to end");
    TFE_AbortCollectiveOps(context, status);
    TF_DeleteStatus(status);
  }).detach();
}

enum Command { kStop = 0, kWatch = 1, kCheckNow = 2 };

// Input: (command, own rank, size, interval in ms, timeout in ms). Outputs: the ranks that were lost so
// far, and the reasons as character codes, each ended by a line break.
void ComputePeers(Call* call) {
  std::vector<int64_t> shape;
  const int32_t* const numbers = call->Input<int32_t>(0, &shape);
  if (numbers == nullptr ||
      !call->Require(shape == std::vector<int64_t>{5}, "numbers: not five") ||
      !call->Require(group_context.load() != nullptr, "no group: its server was never started")) {
    return;
  }
  Peers& peers = Peers::Get();
  if (numbers[0] == kStop) peers.Stop();
  if (numbers[0] == kWatch) peers.Watch(numbers[1], numbers[2], numbers[3], numbers[4]);
  if (numbers[0] == kCheckNow) peers.CheckNow(numbers[1], numbers[2], numbers[4]);
  const std::vector<LostPeer> lost = peers.Lost();
  std::string reasons;
  for (const LostPeer& peer : lost) {
    std::string reason = peer.reason;
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    reasons += reason + '\n';
  }
  int32_t* const ranks = call->Output<int32_t>(0, {static_cast<int64_t>(lost.size())});
  if (ranks == nullptr) return;
  for (size_t i = 0; i < lost.size(); ++i) ranks[i] = lost[i].rank;
  int32_t* const text = call->Output<int32_t>(1, {static_cast<int64_t>(reasons.size())});
  if (text == nullptr) return;
  for (size_t i = 0; i < reasons.size(); ++i) text[i] = static_cast<unsigned char>(reasons[i]);
}

[[maybe_unused]] const bool registered = [] {
  Register<ComputePeers>("CirkdPeers", {"numbers: int32"}, {"ranks: int32", "reasons: int32"});
  return true;
}();

std::string FromHex(const char* text) {
  std::string bytes;
  for (; text[0] != '\0' && text[1] != '\0'; text += 2) {
    const char pair[3] = {text[0], text[1], '\0'};
    bytes += static_cast<char>(std::strtol(pair, nullptr, 16));
  }
  return bytes;
}

}  // namespace
}  // namespace cirkd

extern "C" {

// Like TFE_NewContext; the process's first context also starts the server of its group, if it has one.
TFE_Context* __wrap_TFE_NewContext(const TFE_ContextOptions* options, TF_Status* status) {
  TFE_Context* const context = __real_TFE_NewContext(options, status);
  const char* const server = std::getenv("CIRKD_COLLECTIVE_SERVER");
  if (TF_GetCode(status) != TF_OK || server == nullptr || *server == '\0') return context;
  TFE_Context* none = nullptr;
  if (!cirkd::group_context.compare_exchange_strong(none, context)) return context;
  const std::string proto = cirkd::FromHex(server);
  TFE_EnableCollectiveOps(context, proto.data(), proto.size(), status);
  if (TF_GetCode(status) == TF_OK) {
    cirkd::ListenForInterrupt(context);
    return context;
  }
  cirkd::group_context.store(nullptr);
  TFE_DeleteContext(context);
  return nullptr;
}

}  // extern "C"
