/**
 * Dense convolutions with their gradients, any stride and dilation, the same padding on both sides.
 *
 * The addon's kernels (../native/convolution.h) support dilation on all processors, unlike
 * TensorFlow's gradients, and are faster (docs/performance.md).
 */
import { attribute } from '../execute.js';
import { addonOps, type ConvolutionOps, recorded, tensorflowOps } from './convolutionOps.js';
import { hasStridedParts, stridedInputGradient } from './stridedInputGradient.js';

const addon = addonOps('Conv2D');
const tensorflow = tensorflowOps('Conv2D', () => [attribute.bool('use_cudnn_on_gpu', true)]);

/** CPU only. */
export const nativeConvolution: ConvolutionOps = {
  ...addon,
  inputGradient: (inputShape_NHWC, weights_RSCK, dy, geometry) => {
    if (hasStridedParts(weights_RSCK.shape, geometry)) {
      return stridedInputGradient(addon, inputShape_NHWC, weights_RSCK, dy, geometry);
    }
    const by = geometry.stride === 1 ? addon : tensorflow;
    return by.inputGradient(inputShape_NHWC, weights_RSCK, dy, geometry);
  },
};

export const nativeConv2d = recorded(nativeConvolution);

/** TensorFlow's ops; any device. */
export const composedConv2d = recorded(tensorflow);
