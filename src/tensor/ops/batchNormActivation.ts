/**
 * Batch norm in training with what is added to it and the activation behind it, channels last, as
 * one kernel (../native/batchNorm.cc, CPU).
 */
import { float32 } from '../create.js';
import { executeAll } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';
import { ACTIVATION_NUMBER, type Activation } from './activation.js';

export interface BatchNormActivation {
  /** activation(scale * (x - mean) / deviation + offset [+ shortcut]) */
  readonly y_NHWC: Tensor;
  /** Of the batch, with 1 / sqrt(biased variance + epsilon). */
  readonly mean_C: Tensor;
  readonly inverseDeviation_C: Tensor;
  /** (1 - momentum) * given + momentum * the batch's, the variance unbiased. */
  readonly newMean_C: Tensor;
  readonly newVariance_C: Tensor;
}

/** What the norm takes besides the map; each float32 [C]. */
export interface NormVectors {
  readonly scale_C: Tensor;
  readonly offset_C: Tensor;
  readonly mean_C: Tensor;
  readonly variance_C: Tensor;
}

export function batchNormActivation(
  x_NHWC: Tensor,
  shortcut_NHWC: Tensor | null,
  { scale_C, offset_C, mean_C, variance_C }: NormVectors,
  options: { epsilon: number; momentum: number; activation: Activation },
): BatchNormActivation {
  return scope(() => {
    const { epsilon, momentum, activation } = options;
    const numbers = numbersOf(epsilon, momentum, ACTIVATION_NUMBER[activation]);
    const shortcut = shortcut_NHWC ?? numbersOf();
    const inputs = [x_NHWC, shortcut, scale_C, offset_C, mean_C, variance_C, numbers];
    const outputs = executeAll('CirkdBatchNorm', inputs, [], 5);
    const [y, mean, inverseDeviation, newMean, newVariance] = outputs as FiveTensors;
    return {
      y_NHWC: y,
      mean_C: mean,
      inverseDeviation_C: inverseDeviation,
      newMean_C: newMean,
      newVariance_C: newVariance,
    };
  });
}

type FiveTensors = [Tensor, Tensor, Tensor, Tensor, Tensor];

/** `y_NHWC` tells where the activation let through; without one any finite map will do. */
export function batchNormActivationGrad(
  dy_NHWC: Tensor,
  x_NHWC: Tensor,
  y_NHWC: Tensor,
  vectors: { scale_C: Tensor; mean_C: Tensor; inverseDeviation_C: Tensor },
  options: { activation: Activation; wantsShortcut: boolean },
): { dx_NHWC: Tensor; dscale_C: Tensor; doffset_C: Tensor; dshortcut_NHWC: Tensor | null } {
  return scope(() => {
    const { scale_C, mean_C, inverseDeviation_C } = vectors;
    const { activation, wantsShortcut } = options;
    // What is added passes its gradient on as it is where nothing is cut off.
    const writesShortcut = wantsShortcut && activation !== 'none';
    const numbers = numbersOf(ACTIVATION_NUMBER[activation], writesShortcut ? 1 : 0);
    const [dx_NHWC, dscale_C, doffset_C, dshortcut] = executeAll(
      'CirkdBatchNormGrad',
      [dy_NHWC, x_NHWC, y_NHWC, scale_C, mean_C, inverseDeviation_C, numbers],
      [],
      4,
    ) as [Tensor, Tensor, Tensor, Tensor];
    const passedOn = writesShortcut ? dshortcut : dy_NHWC;
    return { dx_NHWC, dscale_C, doffset_C, dshortcut_NHWC: wantsShortcut ? passedOn : null };
  });
}

/** A float32 vector; of nothing: an input that is left out. */
export function numbersOf(...numbers: number[]): Tensor {
  return float32(Float32Array.from(numbers), [numbers.length]);
}
