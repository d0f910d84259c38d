// Convolutions of 3x3 taps with stride 1 by Winograd's algorithm, dilated ones too: fewer multiplications, and a
// rounding error that is a few times that of the sums in convolution.h's own order.
#ifndef CIRKD_NATIVE_WINOGRAD_H_
#define CIRKD_NATIVE_WINOGRAD_H_

#include <cstdint>

#include "../convolution.h"

namespace cirkd {

// Arguments as in ../convolution.h. outputs: along a tile's side, 2 or 4.

void WinogradForward(const ConvolutionShape& shape, int64_t outputs, const float* x, const float* weights,
                     const Epilogue* epilogue, float* y);

void WinogradInputGradient(const ConvolutionShape& shape, int64_t outputs, const float* dy, const float* weights,
                           float* dx);

void WinogradFilterGradients(const ConvolutionShape& shape, int64_t outputs, const float* x, const float* dy,
                             float* dw);

}  // namespace cirkd

#endif  // CIRKD_NATIVE_WINOGRAD_H_
