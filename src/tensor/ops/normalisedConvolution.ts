/**
 * Convolution, batch norm with given statistics, activation as one op
 * (../native/convolutionOps.cc, ../native/depthwiseOps.cc; CPU).
 */
import { execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';
import { ACTIVATION_NUMBER, type Activation } from './activation.js';
import { type NormVectors, numbersOf } from './batchNormActivation.js';
import { type ConvolutionGeometry, geometryTensor } from './convolution.js';

export interface NormalisedConvolutionOptions {
  readonly epsilon: number;
  readonly activation: Activation;
  /** Added before the activation, of the output's shape; or null. */
  readonly shortcut: Tensor | null;
}

type NormalisedConvolution = (
  x_NHWC: Tensor,
  weights: Tensor,
  geometry: ConvolutionGeometry,
  norm: NormVectors,
  options: NormalisedConvolutionOptions,
) => Tensor;

const normalised =
  (op: string): NormalisedConvolution =>
  (x_NHWC, weights, geometry, norm, { epsilon, activation, shortcut }) =>
    scope(() => {
      const { scale_C, offset_C, mean_C, variance_C } = norm;
      const inputs = [
        ...[x_NHWC, weights, geometryTensor(geometry), shortcut ?? numbersOf()],
        ...[scale_C, offset_C, mean_C, variance_C],
        numbersOf(epsilon, ACTIVATION_NUMBER[activation]),
      ];
      return execute(op, inputs, []);
    });

/**
 * activation(scale * (convolution - mean) / sqrt(variance + epsilon) + offset [+ shortcut]); weights
 * [R, S, C, K].
 */
export const normalisedConv2d = normalised('CirkdNormalisedConv2D');

/** The same of a depthwise convolution; weights [R, S, C, 1]. */
export const normalisedDepthwise = normalised('CirkdNormalisedDepthwise');
