// What the main threads of a group's processes know of one another while their computing threads are in a collective,
// which blocks them, or have nothing to do, because the process waits for teachers or data.
//
// A thread of each process meets those of the others again and again, in reductions of their own. By them every process
// knows for how long each rank has been in its pending collective; a rank that is in none while others wait is the one
// that they wait for. Twice per meeting: after the first all of them go on at the same time, so that the second
// has what is true at one time on all ranks. A rank that is lost ends the meetings as it does other collectives
// (collectives.cc).
//
// The news go to the process's main thread through a socket, since no call can reach the computing thread. Lines of text:
//   waits S0 S1 ...   for how many seconds each rank has been in its collective; 0: it is in none
//   stops RANK        another rank has been asked to stop
//   lost RANK REASON  (collectives.cc)
// The main thread writes there, whatever it is, when it is asked to stop.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "collectives.h"
#include "kernelCall.h"
#include "reduceOp.h"

namespace cirkd {
namespace {

// Not that of ../ops/collective.ts, as this group is of CPUs everywhere.
constexpr int32_t kGroupKey = 2;
constexpr int32_t kInstanceKey = 1;

class Attendance {
 public:
  Attendance(int own, int size, int interval_ms)
      : own_(own), size_(size), interval_(interval_ms), device_(DeviceOf(own)) {}

  ~Attendance() {
    if (socket_ >= 0) close(socket_);
  }

  // Returns the main thread's end of the socket; -1 if there is none.
  int Open() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return -1;
    for (const int end : ends) {
      fcntl(end, F_SETFD, FD_CLOEXEC);
      fcntl(end, F_SETFL, O_NONBLOCK);
    }
    socket_ = ends[0];
    return ends[1];
  }

  // A main thread that doesn't read misses lines. Node.js ignores SIGPIPE.
  void Tell(const std::string& text) {
    const std::string line = text + '\n';
    const std::lock_guard<std::mutex> lock(mutex_);
    [[maybe_unused]] const ssize_t written = write(socket_, line.data(), line.size());
  }

  // Meets the others until all of them leave, or one of them is lost.
  void Run() {
    CollectivesOfThisThreadHaveNoLimit();
    while (Meet()) {
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    has_ended_ = true;
    changed_.notify_all();
  }

  // With `waits`, all ranks call it at about the same time, and it returns after the last meeting.
  void Leave(bool waits) {
    std::unique_lock<std::mutex> lock(mutex_);
    leaves_ = true;
    changed_.notify_all();
    if (waits) changed_.wait(lock, [this] { return has_ended_; });
  }

 private:
  static std::string DeviceOf(int rank) {
    return "/job:worker/replica:0/task:" + std::to_string(rank) + "/device:CPU:0";
  }

  // False if it was the last.
  bool Meet() {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait_for(lock, interval_, [this] { return leaves_; });
    }
    std::vector<float> sums(2 * size_ + 1);
    if (!Sum(&sums)) return false;
    std::fill(sums.begin(), sums.end(), 0.0f);
    sums[own_] = static_cast<float>(WaitedMs()) / 1000;
    sums[size_ + own_] = MainStops() ? 1 : 0;
    sums[2 * size_] = Leaves() ? 1 : 0;
    if (!Sum(&sums)) return false;
    TellSums(sums);
    return sums[2 * size_] < size_;
  }

  void TellSums(const std::vector<float>& sums) {
    std::string waits = "waits";
    for (int rank = 0; rank < size_; ++rank) {
      char number[32];
      std::snprintf(number, sizeof number, " %.3f", sums[rank]);
      waits += number;
      const bool stops = rank != own_ && sums[size_ + rank] > 0;
      if (stops && told_.insert(rank).second) Tell("stops " + std::to_string(rank));
    }
    Tell(waits);
  }

  // Replaces the numbers by their sums over the ranks; false if a rank is lost.
  bool Sum(std::vector<float>* numbers) {
    const int64_t length = static_cast<int64_t>(numbers->size());
    const size_t bytes = numbers->size() * sizeof(float);
    OwnedTensor given(TF_AllocateTensor(TF_FLOAT, &length, 1, bytes));
    std::memcpy(TF_TensorData(given.get()), numbers->data(), bytes);
    ReduceOp op;
    const OwnedTensor sums =
        op.Run(std::move(given), {size_, kGroupKey, kInstanceKey}, false, device_);
    if (sums == nullptr) return false;
    std::memcpy(numbers->data(), TF_TensorData(sums.get()), bytes);
    return true;
  }

  bool MainStops() {
    char text[16];
    while (read(socket_, text, sizeof text) > 0) main_stops_ = true;
    return main_stops_;
  }

  bool Leaves() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return leaves_;
  }

  const int own_;
  const int size_;
  const std::chrono::milliseconds interval_;
  const std::string device_;
  // -1: nobody listens.
  int socket_ = -1;
  bool main_stops_ = false;
  // Those whose stop the main thread knows of.
  std::set<int> told_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool leaves_ = false;
  bool has_ended_ = false;
};

// That of the group which this process is in. Never destroyed: threads may still ask for it while the process ends.
struct Place {
  std::mutex mutex;
  std::shared_ptr<Attendance> attendance;
};

Place& Current() {
  static Place* const place = new Place;
  return *place;
}

// Returns the one before.
std::shared_ptr<Attendance> Exchange(std::shared_ptr<Attendance> next) {
  Place& place = Current();
  const std::lock_guard<std::mutex> lock(place.mutex);
  place.attendance.swap(next);
  return next;
}

// Returns the main thread's end of the socket.
int Begin(int own, int size, int interval_ms) {
  const auto attendance = std::make_shared<Attendance>(own, size, interval_ms);
  const int descriptor = attendance->Open();
  Exchange(attendance);
  std::thread([attendance] { attendance->Run(); }).detach();
  return descriptor;
}

enum Command { kBegin = 0, kLeave = 1, kAbandon = 2 };

// Input: (command, own rank, size, interval in ms). Output: the descriptor of the main thread's socket; with other
// commands, or without one, -1.
void ComputeAttend(Call* call) {
  std::vector<int64_t> shape;
  const int32_t* const numbers = call->Input<int32_t>(0, &shape);
  if (numbers == nullptr || !call->Require(shape == std::vector<int64_t>{4}, "numbers: not four") ||
      !call->Require(GroupContext() != nullptr, "no group: its server was never started")) {
    return;
  }
  int descriptor = -1;
  if (numbers[0] == kBegin) {
    descriptor = Begin(numbers[1], numbers[2], numbers[3]);
  } else if (const std::shared_ptr<Attendance> attendance = Exchange(nullptr)) {
    attendance->Leave(numbers[0] == kLeave);
  }
  int32_t* const output = call->Output<int32_t>(0, {});
  if (output != nullptr) *output = descriptor;
}

[[maybe_unused]] const bool registered = [] {
  Register<ComputeAttend>("CirkdAttend", {"numbers: int32"}, {"descriptor: int32"});
  return true;
}();

}  // namespace

void TellMain(const std::string& line) {
  Place& place = Current();
  const std::lock_guard<std::mutex> lock(place.mutex);
  if (place.attendance != nullptr) place.attendance->Tell(line);
}

}  // namespace cirkd
