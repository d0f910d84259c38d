/** A convolution with its batch norm, given statistics and activation, for inference. */
import { isNative } from '../binding.js';
import type { ConvolutionGeometry } from '../ops/convolution.js';
import { normalisedConv2d, normalisedDepthwise } from '../ops/normalisedConvolution.js';
import type { Tape, Var } from '../tape.js';
import { scope } from '../tensor.js';
import {
  type AfterNorm,
  type BatchNormWeights,
  batchNormInference,
  EPSILON,
  type RunningStatistics,
} from './batchNorm.js';
import { conv2d } from './convolution.js';
import { depthwiseConv2d } from './depthwiseConvolution.js';

export interface NormalisedGeometry extends ConvolutionGeometry {
  /** One filter a channel: weights [R, S, C, 1] in place of [R, S, C, K]. */
  readonly depthwise: boolean;
}

type NormalisedConvolution = (
  tape: Tape,
  x: Var,
  weights: Var,
  geometry: NormalisedGeometry,
  norm: BatchNormWeights & RunningStatistics,
  after: AfterNorm,
) => Var;

/** after(norm(convolution of x)). Throws on a tape that records: there are no gradients here. */
export const normalisedConvolution: NormalisedConvolution = (tape, ...rest) => {
  if (tape.recording) throw new Error('normalisedConvolution: a tape that records wants gradients');
  const kernel = isNative() ? fusedNormalisedConvolution : composedNormalisedConvolution;
  return kernel(tape, ...rest);
};

/** Norm and what follows are done to the output before that leaves the cache (CPU). */
export const fusedNormalisedConvolution: NormalisedConvolution = (
  tape,
  x,
  weights,
  geometry,
  { scale_C, offset_C, mean_C, variance_C },
  { activation, shortcut },
) => {
  const vectors = { scale_C: scale_C.value, offset_C: offset_C.value, mean_C, variance_C };
  const options = { epsilon: EPSILON, activation, shortcut: shortcut?.value ?? null };
  const op = geometry.depthwise ? normalisedDepthwise : normalisedConv2d;
  return tape.constant(op(x.value, weights.value, geometry, vectors, options));
};

/** One op after the other (any device). */
export const composedNormalisedConvolution: NormalisedConvolution = (
  tape,
  x,
  weights,
  geometry,
  { scale_C, offset_C, ...running },
  after,
) =>
  scope(() => {
    const convolve = geometry.depthwise ? depthwiseConv2d : conv2d;
    const convolved = convolve(tape, x, weights, geometry);
    return batchNormInference(tape, convolved, { scale_C, offset_C }, running, after);
  });
