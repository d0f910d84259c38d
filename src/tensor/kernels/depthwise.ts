/**
 * Depthwise convolutions with their gradients, channels last, one filter per channel; weights_RSC1.
 *
 * The addon's kernels (../native/depthwise.h) take any stride and dilation. TensorFlow's CPU kernels for the
 * gradients take a dilation and ignore it. But a convolution with dilation d is d*d plain ones, each on
 * every d-th row and column: SpaceToBatchND deals the positions out over the batch axis, BatchToSpaceND
 * gathers them, and each is the other's gradient.
 */
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
export const nativeDepthwise = addonOps('CirkdDepthwise');

export const nativeDepthwiseConv2d = recorded(nativeDepthwise);

const tensorflow = tensorflowOps('DepthwiseConv2dNative');
const plain = recorded(tensorflow);

/** Composed of TensorFlow's ops; any device. A dilation above 1 goes with stride 1 only. */
export const composedDepthwiseConv2d: ConvolutionKernel = (tape, x, weights, geometry) =>
  (geometry.dilation > 1 ? dilated : plain)(tape, x, weights, geometry);

const UNPADDED: ConvolutionGeometry = { stride: 1, dilation: 1, padding: 0 };

const dilated: ConvolutionKernel = (tape, x, weights, geometry) => {
  if (geometry.stride !== 1) {
    throw new Error(`stride: ${geometry.stride} given, wanted 1 with dilation above 1`);
  }
  const dealing = dealingOf(x.shape, weights.shape, geometry);
  const { block, paddings, crops } = dealing;
  const deal = (tensor: Tensor) => spaceToBatch(tensor, block, paddings);
  const dealt = scope(() => {
    const pieces = deal(x.value);
    return { shape: pieces.shape, value: tensorflow.forward(pieces, weights.value, UNPADDED) };
  });
  const value = batchToSpace(dealt.value, block, crops);
  dealt.value.dispose();
  return tape.record(value, [x, weights], savedFor(x, weights), (dy) => {
    const dyPieces = spaceToBatch(dy, block, crops);
    const inputGrad = () =>
      batchToSpace(
        tensorflow.inputGradient(dealt.shape, weights.value, dyPieces, UNPADDED),
        block,
        paddings,
      );
    return [
      x.needsGradient ? inputGrad() : null,
      weights.needsGradient
        ? tensorflow.filterGradient(deal(x.value), weights.shape, dyPieces, UNPADDED)
        : null,
    ];
  });
};

type SpatialPairs = readonly [readonly [number, number], readonly [number, number]];

/** Zeros around the input, as many more at its end as make it divisible; these are cropped off. */
function dealingOf(
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
