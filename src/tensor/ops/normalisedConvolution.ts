/** Convolution, batch norm with given statistics, activation: one op where the addon has it (CPU). */
import { float32 } from '../create.js';
import { execute } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';
import { ACTIVATION_NUMBER, type Activation, activate, isNative } from './activation.js';
import type { NormVectors } from './batchNormActivation.js';
import { type ConvolutionGeometry, conv2d, geometryTensor } from './convolution.js';
import { add } from './elementwise.js';
import { batchNorm } from './normalisation.js';

export interface NormalisedConvolutionOptions {
  readonly epsilon: number;
  readonly activation: Activation;
  /** Added before the activation, of the output's shape; or null. */
  readonly shortcut: Tensor | null;
}

type NormalisedConvolution = (
  x_NHWC: Tensor,
  w_RSCK: Tensor,
  geometry: ConvolutionGeometry,
  norm: NormVectors,
  options: NormalisedConvolutionOptions,
) => Tensor;

/** activation(scale * (convolution - mean) / sqrt(variance + epsilon) + offset [+ shortcut]) */
export const normalisedConv2d: NormalisedConvolution = (x_NHWC, w_RSCK, geometry, norm, options) =>
  isNative()
    ? fusedNormalisedConv2d(x_NHWC, w_RSCK, geometry, norm, options)
    : composedNormalisedConv2d(x_NHWC, w_RSCK, geometry, norm, options);

export const fusedNormalisedConv2d: NormalisedConvolution = (x, w, geometry, norm, options) =>
  scope(() => {
    const { scale_C, offset_C, mean_C, variance_C } = norm;
    const numbers = Float32Array.of(options.epsilon, ACTIVATION_NUMBER[options.activation]);
    const inputs = [
      ...[x, w, geometryTensor(geometry), options.shortcut ?? float32(new Float32Array(0), [0])],
      ...[scale_C, offset_C, mean_C, variance_C, float32(numbers, [2])],
    ];
    return execute('CirkdNormalisedConv2D', inputs, []);
  });

export const composedNormalisedConv2d: NormalisedConvolution = (x, w, geometry, norm, options) =>
  scope(() => {
    const { scale_C, offset_C, mean_C, variance_C } = norm;
    const { epsilon, activation, shortcut } = options;
    const settings = { epsilon, training: false, momentum: 0 };
    const normed = batchNorm(
      conv2d(x, w, geometry),
      scale_C,
      offset_C,
      mean_C,
      variance_C,
      settings,
    ).y_NHWC;
    return activate(shortcut === null ? normed : add(normed, shortcut), activation);
  });
