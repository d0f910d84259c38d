/**
 * A convolution fused with batch norm by given statistics and an optional shortcut and activation, for
 * inference.
 */
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
import { composedConv2d } from './convolution.js';
import { type ConvolutionGeometry, geometryTensor } from './convolutionOps.js';
import { composedDepthwiseConv2d } from './depthwise.js';

interface NormalisedGeometry extends ConvolutionGeometry {
  /** true: one filter per channel, weights [R, S, C, 1] instead of [R, S, C, K]. */
  readonly depthwise: boolean;
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

/**
 * Applies norm, shortcut and activation to the output while it is in the cache
 * (../native/convolutionOps.cc, ../native/depthwiseOps.cc); CPU only.
 */
export const nativeNormalisedConvolution = checked(
  (tape, x, weights, geometry, norm, { activation, shortcut }) => {
    const op = geometry.depthwise ? 'CirkdNormalisedDepthwise' : 'CirkdNormalisedConv2D';
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
    const convolved = convolve(tape, x, weights, geometry);
    return batchNormInference(tape, convolved, { scale_C, offset_C }, running, after);
  },
);
