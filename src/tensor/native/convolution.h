// Convolutions as matrix products that gather their left matrix on the fly: nothing is unrolled in memory.
//
// N images, H W input positions, C input channels, h w output positions, K output channels, R S taps.
#ifndef CIRKD_NATIVE_CONVOLUTION_H_
#define CIRKD_NATIVE_CONVOLUTION_H_

#include <cstdint>

#include "gatheredProduct.h"

namespace cirkd {

struct ConvolutionShape {
  int64_t images;
  int64_t height, width, inputs;            // H W C
  int64_t out_height, out_width, outputs;   // h w K
  int64_t tap_rows, tap_columns;            // R S
  int64_t stride, dilation;
  int64_t padding_rows, padding_columns;    // before the first row and column

  int64_t taps() const { return tap_rows * tap_columns; }
  int64_t out_positions() const { return images * out_height * out_width; }
};

// All maps channels last, weights [R, S, C, K]; all are overwritten.

// y_NhwK = convolution of x_NHWC, followed by the epilogue unless it is null.
void ConvolutionForward(const ConvolutionShape& shape, const float* x, const float* weights,
                        const Epilogue* epilogue, float* y);

// dx_NHWC from dy_NhwK; stride 1.
void ConvolutionInputGradient(const ConvolutionShape& shape, const float* dy, const float* weights,
                              float* dx);

// dw_RSCK from x_NHWC and dy_NhwK.
void ConvolutionFilterGradient(const ConvolutionShape& shape, const float* x, const float* dy,
                               float* dw);

}  // namespace cirkd

#endif  // CIRKD_NATIVE_CONVOLUTION_H_
