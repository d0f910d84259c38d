// What the addon's collectives share (collectives.cc).
#ifndef CIRKD_NATIVE_COLLECTIVES_H_
#define CIRKD_NATIVE_COLLECTIVES_H_

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

}  // namespace cirkd

#endif  // CIRKD_NATIVE_COLLECTIVES_H_
