/**
 * A convolution fused with batch norm by given statistics and an optional shortcut and activation, for
 * inference.
 */
import type { Products } from '../../contract/products.js';
import { execute } from '../execute.js';
import type { Tape, Var } from '../tape.js';
import { scope } from '../tensor.js';
import {
  ACTIVATION_NUMBER,
  type AfterNorm,
  type BatchNormWeights,
  batchNormInference,
  EPSILON,
  numbersOf,
  type RunningStatistics,
} from './batchNorm.js';
import { FEWEST_INPUTS, roundedToBfloat16 } from './bfloat16.js';
import { composedConv2d } from './convolution.js';
import { type ConvolutionGeometry, geometryTensor } from './convolutionOps.js';
import { composedDepthwiseConv2d } from './depthwise.js';

interface NormalisedGeometry extends ConvolutionGeometry {
  /** true: one filter per channel, weights [R, S, C, 1] instead of [R, S, C, K]. */
  readonly depthwise: boolean;
  /**
   * bfloat16: x and weights are rounded, sums are float32. Depthwise convolutions and those with fewer than 16 input
   * channels are float32 in any case; on the CPU, also 3x3 ones that Winograd's F(4x4, 3x3) computes.
   * Default: float32.
   */
  readonly products?: Products;
}

/**
 * activation(scale * (convolution of x - mean) / sqrt(variance + epsilon) + offset [+ shortcut]).
 * Throws on a tape that records, because it has no gradients.
 */
export type NormalisedConvolutionKernel = (
  tape: Tape,
  x: Var,
  weights: Var,
  geometry: NormalisedGeometry,
  norm: BatchNormWeights & RunningStatistics,
  after: AfterNorm,
) => Var;

function checked(kernel: NormalisedConvolutionKernel): NormalisedConvolutionKernel {
  return (tape, ...rest) => {
    if (tape.recording) {
      throw new Error(
        'normalisedConvolution: a recording tape given, wanted one that does not record',
      );
    }
    return scope(() => kernel(tape, ...rest));
  };
}

const isRounded = ({ products, depthwise }: NormalisedGeometry) =>
  products === 'bfloat16' && !depthwise;

/**
 * Applies norm, shortcut and activation to the output while it is in the cache
 * (../native/convolutionOps.cc, ../native/depthwiseOps.cc, ../native/bfloat16/ops.cc); CPU only.
 */
export const nativeNormalisedConvolution = checked(
  (tape, x, weights, geometry, norm, { activation, shortcut }) => {
    const dense = isRounded(geometry) ? 'CirkdBfloat16NormalisedConv2D' : 'CirkdNormalisedConv2D';
    const op = geometry.depthwise ? 'CirkdNormalisedDepthwise' : dense;
    const inputs = [
      ...[x.value, weights.value, geometryTensor(geometry), shortcut?.value ?? numbersOf()],
      ...[norm.scale_C.value, norm.offset_C.value, norm.mean_C, norm.variance_C],
      numbersOf(EPSILON, ACTIVATION_NUMBER[activation]),
    ];
    return tape.constant(execute(op, inputs, []));
  },
);

/** One op after the other; any device. */
export const composedNormalisedConvolution = checked(
  (tape, x, weights, geometry, { scale_C, offset_C, ...running }, after) => {
    const convolve = geometry.depthwise ? composedDepthwiseConv2d : composedConv2d;
    const rounds = isRounded(geometry) && x.shape.at(-1)! >= FEWEST_INPUTS;
    const operand = (value: Var) =>
      rounds ? tape.constant(roundedToBfloat16(value.value)) : value;
    const convolved = convolve(tape, operand(x), operand(weights), geometry);
    return batchNormInference(tape, convolved, { scale_C, offset_C }, running, after);
  },
);
