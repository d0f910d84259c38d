/**
 * Depthwise convolution with its gradients, channels last; weights_RSC1.
 *
 * TensorFlow's CPU kernels for the gradients take a dilation and ignore it. A convolution with
 * dilation d is d*d plain ones, each on every d-th row and column: SpaceToBatchND deals the
 * positions out over the batch axis, BatchToSpaceND gathers them, and each is the other's gradient.
 */
import { isNative } from '../binding.js';
import type { ConvolutionGeometry } from '../ops/convolution.js';
import {
  depthwiseConv2d as depthwiseOp,
  depthwiseConv2dFilterGrad,
  depthwiseConv2dInputGrad,
  nativeDepthwise,
  nativeDepthwiseFilterGrad,
  nativeDepthwiseInputGrad,
} from '../ops/depthwise.js';
import { batchToSpace, spaceToBatch } from '../ops/shape.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

/** x_NHWC, weights_RSC1 -> [N, H', W', C]. */
export function depthwiseConv2d(
  tape: Tape,
  x: Var,
  weights: Var,
  geometry: ConvolutionGeometry,
): Var {
  if (!isNative()) return composedDepthwise(tape, x, weights, geometry);
  const value = nativeDepthwise(x.value, weights.value, geometry);
  const inputShape = x.shape;
  return tape.record(value, [x, weights], savedFor(x, weights), (dy) => [
    x.needsGradient ? nativeDepthwiseInputGrad(inputShape, weights.value, dy, geometry) : null,
    weights.needsGradient ? nativeDepthwiseFilterGrad(x.value, weights.shape, dy, geometry) : null,
  ]);
}

/** Of TensorFlow's ops (any device). A dilation above 1 goes with stride 1 only. */
export function composedDepthwise(
  tape: Tape,
  x: Var,
  weights: Var,
  geometry: ConvolutionGeometry,
): Var {
  if (geometry.dilation > 1) return dilated(tape, x, weights, geometry);
  const value = depthwiseOp(x.value, weights.value, geometry);
  const inputShape = x.shape;
  return tape.record(value, [x, weights], savedFor(x, weights), (dy) => [
    x.needsGradient ? depthwiseConv2dInputGrad(inputShape, weights.value, dy, geometry) : null,
    weights.needsGradient ? depthwiseConv2dFilterGrad(x.value, weights.shape, dy, geometry) : null,
  ]);
}

const UNPADDED = { stride: 1, padding: 0 } as const;

function dilated(tape: Tape, x: Var, weights: Var, geometry: ConvolutionGeometry): Var {
  if (geometry.stride !== 1) {
    throw new Error(`stride: ${geometry.stride} given, wanted 1 with dilation above 1`);
  }
  const dealing = dealingOf(x.shape, weights.shape, geometry);
  const { block, paddings, crops } = dealing;
  const deal = (tensor: Tensor) => spaceToBatch(tensor, block, paddings);
  const dealt = scope(() => {
    const pieces = deal(x.value);
    return { shape: pieces.shape, value: depthwiseOp(pieces, weights.value, UNPADDED) };
  });
  const value = batchToSpace(dealt.value, block, crops);
  dealt.value.dispose();
  return tape.record(value, [x, weights], savedFor(x, weights), (dy) => {
    const dyPieces = spaceToBatch(dy, block, crops);
    const inputGrad = () =>
      batchToSpace(
        depthwiseConv2dInputGrad(dealt.shape, weights.value, dyPieces, UNPADDED),
        block,
        paddings,
      );
    return [
      x.needsGradient ? inputGrad() : null,
      weights.needsGradient
        ? depthwiseConv2dFilterGrad(deal(x.value), weights.shape, dyPieces, UNPADDED)
        : null,
    ];
  });
}

function savedFor(x: Var, weights: Var): Tensor[] {
  return [...(weights.needsGradient ? [x.value] : []), ...(x.needsGradient ? [weights.value] : [])];
}

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
