/** Batch normalisation with its gradients, channels last. */
import { isNative } from '../binding.js';
import type { Activation } from '../ops/activation.js';
import { batchNormActivation, batchNormActivationGrad } from '../ops/batchNormActivation.js';
import { batchNorm as batchNormOp, batchNormGrad } from '../ops/normalisation.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { relu, relu6 } from './activation.js';
import { add } from './combine.js';

/** PyTorch's defaults, which the official networks keep. */
export const EPSILON = 1e-5;
const MOMENTUM = 0.1;

export interface BatchNormWeights {
  readonly scale_C: Var;
  readonly offset_C: Var;
}

export interface RunningStatistics {
  readonly mean_C: Tensor;
  readonly variance_C: Tensor;
}

/** What follows: activation(norm + shortcut). */
export interface AfterNorm {
  readonly activation: Activation;
  /** Of the norm's shape, or null. */
  readonly shortcut: Var | null;
}

const NOTHING: AfterNorm = { activation: 'none', shortcut: null };

export interface TrainedNorm {
  readonly y: Var;
  readonly running: RunningStatistics;
}

/**
 * Normalises with the batch's mean and biased variance. Returns also the running statistics after
 * this batch, 0.9 old + 0.1 new, where the new variance is the unbiased one.
 * Throws where a channel has a single value: its variance says nothing.
 */
export function batchNormTraining(
  tape: Tape,
  x: Var,
  weights: BatchNormWeights,
  running: RunningStatistics,
  after: AfterNorm = NOTHING,
): TrainedNorm {
  const channels = weights.scale_C.value.size;
  if (x.value.size <= channels) {
    throw new Error(
      `batch norm: shape [${x.shape}] has one value a channel, training wants more (a batch of one image with a globally pooled layer?)`,
    );
  }
  const kernel = isNative() ? fusedBatchNorm : composedBatchNorm;
  return kernel(tape, x, weights, running, after);
}

type TrainingKernel = (
  tape: Tape,
  x: Var,
  weights: BatchNormWeights,
  running: RunningStatistics,
  after: AfterNorm,
) => TrainedNorm;

/** One kernel forward and one back (CPU). */
export const fusedBatchNorm: TrainingKernel = (tape, x, weights, running, after) =>
  scope(() => {
    const { scale_C, offset_C } = weights;
    const { activation, shortcut } = after;
    const { y_NHWC, mean_C, inverseDeviation_C, newMean_C, newVariance_C } = batchNormActivation(
      x.value,
      shortcut?.value ?? null,
      { scale_C: scale_C.value, offset_C: offset_C.value, ...running },
      { epsilon: EPSILON, momentum: MOMENTUM, activation },
    );
    const gate = activation === 'none' ? x.value : y_NHWC;
    const inputs = [x, scale_C, offset_C, ...(shortcut === null ? [] : [shortcut])];
    const saved = [x.value, gate, scale_C.value, mean_C, inverseDeviation_C];
    const y = tape.record(y_NHWC, inputs, saved, (dy) => {
      const { dx_NHWC, dscale_C, doffset_C, dshortcut_NHWC } = batchNormActivationGrad(
        dy,
        x.value,
        gate,
        { scale_C: scale_C.value, mean_C, inverseDeviation_C },
        { activation, wantsShortcut: shortcut?.needsGradient ?? false },
      );
      const own = [dx_NHWC, dscale_C, doffset_C];
      return shortcut === null ? own : [...own, dshortcut_NHWC];
    });
    return { y, running: { mean_C: newMean_C, variance_C: newVariance_C } };
  });

/** Of TensorFlow's ops (any device). */
export const composedBatchNorm: TrainingKernel = (tape, x, weights, running, after) =>
  scope(() => {
    const { scale_C, offset_C } = weights;
    const options = { epsilon: EPSILON, training: true, momentum: MOMENTUM };
    const { y_NHWC, mean_C, variance_C, reserves } = batchNormOp(
      x.value,
      scale_C.value,
      offset_C.value,
      running.mean_C,
      running.variance_C,
      options,
    );
    const saved = [x.value, scale_C.value, ...reserves];
    const normed = tape.record(y_NHWC, [x, scale_C, offset_C], saved, (dy) => {
      const { dx_NHWC, dscale_C, doffset_C } = batchNormGrad(
        dy,
        x.value,
        scale_C.value,
        reserves,
        options,
      );
      return [dx_NHWC, dscale_C, doffset_C];
    });
    const y = finish(tape, normed, after);
    return { y, running: { mean_C, variance_C } };
  });

/** What lies between is freed as soon as nothing needs it. */
function finish(tape: Tape, normed: Var, { activation, shortcut }: AfterNorm): Var {
  const sum = shortcut === null ? normed : add(tape, normed, shortcut);
  if (sum !== normed) normed.value.dispose();
  if (activation === 'none') return sum;
  const y = activation === 'relu' ? relu(tape, sum) : relu6(tape, sum);
  sum.value.dispose();
  return y;
}

/** Normalises with given statistics, which count as constants. */
export function batchNormInference(
  tape: Tape,
  x: Var,
  { scale_C, offset_C }: BatchNormWeights,
  { mean_C, variance_C }: RunningStatistics,
  after: AfterNorm = NOTHING,
): Var {
  const options = { epsilon: EPSILON, training: false, momentum: 0 };
  return scope(() => {
    const y_NHWC = scope(
      () => batchNormOp(x.value, scale_C.value, offset_C.value, mean_C, variance_C, options).y_NHWC,
    );
    const saved = [x.value, scale_C.value, mean_C, variance_C];
    const normed = tape.record(y_NHWC, [x, scale_C, offset_C], saved, (dy) => {
      const { dx_NHWC, dscale_C, doffset_C } = batchNormGrad(
        dy,
        x.value,
        scale_C.value,
        [mean_C, variance_C, variance_C],
        options,
      );
      return [dx_NHWC, dscale_C, doffset_C];
    });
    return finish(tape, normed, after);
  });
}
