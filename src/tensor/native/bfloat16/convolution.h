// A convolution whose operands are rounded to bfloat16, with sums in float32: for a frozen network's forward pass.
#ifndef CIRKD_NATIVE_BFLOAT16_CONVOLUTION_H_
#define CIRKD_NATIVE_BFLOAT16_CONVOLUTION_H_

#include "../convolution.h"

namespace cirkd {

// Whether the shape is computed in bfloat16. Others stay in float32: few input channels (an image's values would be
// rounded for no gain) and 3x3 convolutions that Winograd's F(4x4, 3x3) computes with a quarter of the multiplications,
// which is as fast and doesn't round. The same for a shape on every processor.
bool IsBfloat16Shape(const ConvolutionShape& shape);

// As ConvolutionForward, in bfloat16 if IsBfloat16Shape(shape). The same bits at all vector levels, as far as the
// float32 convolutions have them.
void Bfloat16Forward(const ConvolutionShape& shape, const float* x, const float* weights,
                     const Epilogue* epilogue, float* y);

}  // namespace cirkd

#endif  // CIRKD_NATIVE_BFLOAT16_CONVOLUTION_H_
