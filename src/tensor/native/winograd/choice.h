// Which convolutions are computed by Winograd's algorithm.
#ifndef CIRKD_NATIVE_WINOGRAD_CHOICE_H_
#define CIRKD_NATIVE_WINOGRAD_CHOICE_H_

#include <cstdint>

#include "../convolution.h"

namespace cirkd {

enum class Pass { kForward, kInputGradient, kFilterGradient };

// Outputs along a tile's side, 2 or 4; 0: the sums of products are as fast, or the shape has no such algorithm. The
// same for a shape always: it is counted, not measured. CIRKD_WINOGRAD=off is 0 for all shapes; 2 or 4 is that
// number for all shapes that have the algorithm, for tests and comparisons.
int64_t WinogradOutputs(const ConvolutionShape& shape, Pass pass);

}  // namespace cirkd

#endif  // CIRKD_NATIVE_WINOGRAD_CHOICE_H_
