// What the addon's collectives share (collectives.cc).
#ifndef CIRKD_NATIVE_COLLECTIVES_H_
#define CIRKD_NATIVE_COLLECTIVES_H_

#include <cstdint>
#include <string>

extern "C" {
struct TFE_Context;
struct TFE_Op;
struct TFE_TensorHandle;
}

namespace cirkd {

// The context whose collectives are open; null in a process without a group.
TFE_Context* GroupContext();

// Gives the collectives of the calling thread a deadline of their own. At most one thread may call it.
void CollectivesOfThisThreadAreInBackground();

// Gives the collectives of the calling thread no deadline.
void CollectivesOfThisThreadHaveNoLimit();

// While one lives, the computing thread is in a collective.
class WaitsForOthers {
 public:
  WaitsForOthers();
  ~WaitsForOthers();
  WaitsForOthers(const WaitsForOthers&) = delete;
  WaitsForOthers& operator=(const WaitsForOthers&) = delete;
};

// For how long the computing thread has been in its collective; 0: it is in none.
int64_t WaitedMs();

// Sends a line to the main thread of this process, if it listens (attendance.cc).
void TellMain(const std::string& line);

}  // namespace cirkd

#endif  // CIRKD_NATIVE_COLLECTIVES_H_
