// With CIRKD_RETURN_MEMORY=1, freed blocks go back to the system at once. By default the C library keeps what was freed in
// its heap, where blocks of other sizes don't fit: a step's peak is then a fourth above the tensors that are alive. Every
// large block then costs fresh pages, so this is for runs that need the memory more than the time (train.recompute).
#include <cstdlib>
#include <cstring>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace cirkd {
namespace {

// Bytes from which on a block has pages of its own.
constexpr int kOwnPages = 1 << 20;

const bool set = [] {
  const char* const given = std::getenv("CIRKD_RETURN_MEMORY");
  if (given == nullptr || std::strcmp(given, "1") != 0) return false;
#if defined(__GLIBC__)
  return mallopt(M_MMAP_THRESHOLD, kOwnPages) == 1;
#else
  return false;
#endif
}();

}  // namespace
}  // namespace cirkd
