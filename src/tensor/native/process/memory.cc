// CirkdReturnMemory: memory that was freed, but that the C library keeps, goes back to the system.
#include <cstdlib>  // Says whether the C library is glibc.

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "../kernelCall.h"

namespace cirkd {
namespace {

// Output: 1 if there was any, else 0.
void ComputeReturnMemory(Call* call) {
  int32_t* const out = call->Output<int32_t>(0, {});
  if (out == nullptr) return;
#if defined(__GLIBC__)
  *out = malloc_trim(0);
#else
  *out = 0;
#endif
}

const bool registered = [] {
  Register<ComputeReturnMemory>("CirkdReturnMemory", {}, {"returned: int32"});
  return true;
}();

}  // namespace
}  // namespace cirkd
