/**
 * Depthwise convolutions with their gradients, channels last, one filter per channel; weights_RSC1.
 *
 * The addon's kernels (../native/depthwise.h) support any stride and dilation. TensorFlow's CPU
 * kernels for the gradients accept a dilation and ignore it. But a convolution with dilation d equals
 * d*d plain ones, each on every d-th row and column: SpaceToBatchND distributes the positions over
 * the batch axis, BatchToSpaceND gathers them, and each is the other's gradient.
 */
import { biasAdd } from '../ops/combine.js';
import { batchToSpace, spaceToBatch } from '../ops/shape.js';
import { scope, type Tensor } from '../tensor.js';
import {
  addonOps,
  type ConvolutionGeometry,
  type ConvolutionKernel,
  recorded,
  savedFor,
  tensorflowOps,
} from './convolutionOps.js';

/** CPU only. */
export const nativeDepthwise = addonOps('Depthwise');

export const nativeDepthwiseConv2d = recorded(nativeDepthwise);

const tensorflow = tensorflowOps('DepthwiseConv2dNative');
const plain = recorded(tensorflow);

/** Composed of TensorFlow's ops; any device. A dilation above 1 needs stride 1. */
export const composedDepthwiseConv2d: ConvolutionKernel = (tape, x, weights, geometry, bias_K) =>
  (geometry.dilation > 1 ? dilated : plain)(tape, x, weights, geometry, bias_K);

const UNPADDED: ConvolutionGeometry = { stride: 1, dilation: 1, padding: 0 };

const dilated: ConvolutionKernel = (tape, x, weights, geometry, bias_K = null) => {
  const y = dilatedWithoutBias(tape, x, weights, geometry);
  return bias_K === null ? y : biasAdd(tape, y, bias_K);
};

const dilatedWithoutBias: ConvolutionKernel = (tape, x, weights, geometry) => {
  if (geometry.stride !== 1) {
    throw new Error(`stride: ${geometry.stride} given, wanted 1 with dilation above 1`);
  }
  const { block, paddings, crops } = batchLayout(x.shape, weights.shape, geometry);
  const distribute = (tensor: Tensor) => spaceToBatch(tensor, block, paddings);
  const batched = scope(() => {
    const pieces = distribute(x.value);
    return {
      shape: pieces.shape,
      value: tensorflow.forward(pieces, weights.value, UNPADDED),
    };
  });
  const value = batchToSpace(batched.value, block, crops);
  batched.value.dispose();
  return tape.record(value, [x, weights], savedFor(x, weights), (dy) => {
    const dyPieces = spaceToBatch(dy, block, crops);
    const inputGrad = () =>
      batchToSpace(
        tensorflow.inputGradient(batched.shape, weights.value, dyPieces, UNPADDED),
        block,
        paddings,
      );
    return [
      x.needsGradient ? inputGrad() : null,
      weights.needsGradient
        ? tensorflow.filterGradient(distribute(x.value), weights.shape, dyPieces, UNPADDED)
        : null,
    ];
  });
};

type SpatialPairs = readonly [readonly [number, number], readonly [number, number]];

/** Pads the input, and its end up to a multiple of the dilation; that excess is cropped again. */
function batchLayout(
  inputShape: readonly number[],
  filterShape: readonly number[],
  { dilation, padding }: ConvolutionGeometry,
): { block: readonly [number, number]; paddings: SpatialPairs; crops: SpatialPairs } {
  const excess = (axis: 0 | 1) => {
    const padded = inputShape[axis + 1]! + 2 * padding;
    const output = padded - dilation * (filterShape[axis]! - 1);
    if (output <= 0)
      throw new Error(`x: shape [${inputShape}] is too small for dilation ${dilation}`);
    return (dilation - (padded % dilation)) % dilation;
  };
  const [bottom, right] = [excess(0), excess(1)];
  return {
    block: [dilation, dilation],
    paddings: [
      [padding, padding + bottom],
      [padding, padding + right],
    ],
    crops: [
      [0, bottom],
      [0, right],
    ],
  };
}
