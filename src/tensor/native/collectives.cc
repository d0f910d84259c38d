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
//
// It waits as long for a peer that answers, but doesn't come. TensorFlow's own limit (timeout_seconds) costs two
// threads per collective, which sleep until the limit is over even when the collective is long done: at an hour and a
// few hundred collectives per step a process soon has no thread left. So TFE_Execute is taken over, too, to know when a
// collective is pending, and one thread aborts it when its time is over.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "collectives.h"
#include "kernelCall.h"

extern "C" {
struct TFE_ContextOptions;

TFE_Context* __real_TFE_NewContext(const TFE_ContextOptions* options, TF_Status* status);
void __real_TFE_Execute(TFE_Op* op, TFE_TensorHandle** results, int* num_results,
                        TF_Status* status);
const char* TFE_OpGetName(const TFE_Op* op, TF_Status* status);
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

// How long a collective may take, in ms; 0: for ever.
std::atomic<int64_t> limit_ms{0};

// When a pending collective has to be over, by the steady clock in ms; 0: none is pending. Two may be pending at a
// time: that of the computing thread, and one in the background.
std::atomic<int64_t> deadlines_ms[2] = {{0}, {0}};

enum class Limit { kForeground, kBackground, kNone };

thread_local Limit limit_of_thread = Limit::kForeground;

// Since when the computing thread has been in a collective, by the steady clock in ms; 0: it is in none.
std::atomic<int64_t> waits_since_ms{0};

int64_t NowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

bool IsCollective(const TFE_Op* op) {
  TF_Status* const status = TF_NewStatus();
  const char* const name = TFE_OpGetName(op, status);
  const bool is = TF_GetCode(status) == TF_OK && std::strncmp(name, "Collective", 10) == 0;
  TF_DeleteStatus(status);
  return is;
}

void Abort(TFE_Context* context, TF_Code code, const char* reason) {
  TF_Status* const status = TF_NewStatus();
  TF_SetStatus(status, code, reason);
  TFE_AbortCollectiveOps(context, status);
  TF_DeleteStatus(status);
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

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
    TellMain("lost " + std::to_string(rank) + " " + OneLine(reason));
    return true;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  int64_t round_ = 0;
  std::vector<LostPeer> lost_;
};

// How late a collective may be noticed to take too long, or this process to be interrupted.
constexpr std::chrono::milliseconds kPoll{100};

// A thread inside a collective can't be ended, and Node.js waits for it at its exit. So SIGURG, which nothing
// else uses and which is harmless before this handler is there, aborts the pending collective. So does its deadline.
void WatchPending(TFE_Context* context) {
  std::signal(SIGURG, [](int) { interrupted.store(true); });
  std::thread([context] {
    while (!interrupted.load()) {
      std::this_thread::sleep_for(kPoll);
      for (std::atomic<int64_t>& deadline_ms : deadlines_ms) {
        int64_t deadline = deadline_ms.load();
        if (deadline == 0 || NowMs() < deadline) continue;
        // Unless it has ended meanwhile.
        if (!deadline_ms.compare_exchange_strong(deadline, 0)) continue;
        Abort(context, TF_DEADLINE_EXCEEDED, "deadline exceeded");
      }
    }
    Abort(context, TF_CANCELLED, "this process is to end");
  }).detach();
}

enum Command { kStop = 0, kWatch = 1, kCheckNow = 2, kLimit = 3 };

// Input: (command, own rank, size, interval in ms, timeout in ms; with kLimit it is that of later collectives). Outputs: the ranks that were lost so
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
  if (numbers[0] == kLimit) limit_ms.store(numbers[4]);
  const std::vector<LostPeer> lost = peers.Lost();
  std::string reasons;
  for (const LostPeer& peer : lost) reasons += OneLine(peer.reason) + '\n';
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

TFE_Context* GroupContext() { return group_context.load(); }

void CollectivesOfThisThreadAreInBackground() { limit_of_thread = Limit::kBackground; }

void CollectivesOfThisThreadHaveNoLimit() { limit_of_thread = Limit::kNone; }

WaitsForOthers::WaitsForOthers() { waits_since_ms.store(NowMs()); }

WaitsForOthers::~WaitsForOthers() { waits_since_ms.store(0); }

int64_t WaitedMs() {
  const int64_t since = waits_since_ms.load();
  return since == 0 ? 0 : std::max<int64_t>(1, NowMs() - since);
}

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
    cirkd::WatchPending(context);
    return context;
  }
  cirkd::group_context.store(nullptr);
  TFE_DeleteContext(context);
  return nullptr;
}

// Like TFE_Execute; a collective has a deadline.
void __wrap_TFE_Execute(TFE_Op* op, TFE_TensorHandle** results, int* num_results,
                        TF_Status* status) {
  using cirkd::Limit;
  const int64_t limit = cirkd::limit_ms.load(std::memory_order_relaxed);
  const Limit of_thread = cirkd::limit_of_thread;
  if (limit == 0 || of_thread == Limit::kNone || !cirkd::IsCollective(op)) {
    __real_TFE_Execute(op, results, num_results, status);
    return;
  }
  const bool in_background = of_thread == Limit::kBackground;
  std::atomic<int64_t>& deadline_ms = cirkd::deadlines_ms[in_background ? 1 : 0];
  deadline_ms.store(cirkd::NowMs() + limit);
  if (in_background) {
    // The computing thread waits only when it asks for the result.
    __real_TFE_Execute(op, results, num_results, status);
  } else {
    const cirkd::WaitsForOthers waits;
    __real_TFE_Execute(op, results, num_results, status);
  }
  deadline_ms.store(0);
}

}  // extern "C"
