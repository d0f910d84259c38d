/** Batch normalisation with its gradients, channels last. */
import { batchNorm as batchNormOp, batchNormGrad } from '../ops/normalisation.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

/** PyTorch's defaults, which the official networks keep. */
const EPSILON = 1e-5;
const MOMENTUM = 0.1;

export interface BatchNormWeights {
  readonly scale_C: Var;
  readonly offset_C: Var;
}

export interface RunningStatistics {
  readonly mean_C: Tensor;
  readonly variance_C: Tensor;
}

/**
 * Normalises with the batch's mean and biased variance. Returns also the running statistics after
 * this batch, 0.9 old + 0.1 new, where the new variance is the unbiased one.
 * Throws where a channel has a single value: its variance says nothing.
 */
export function batchNormTraining(
  tape: Tape,
  x: Var,
  { scale_C, offset_C }: BatchNormWeights,
  running: RunningStatistics,
): { y: Var; running: RunningStatistics } {
  const channels = scale_C.value.size;
  if (x.value.size <= channels) {
    throw new Error(
      `batch norm: shape [${x.shape}] has one value a channel, training wants more (a batch of one image with a globally pooled layer?)`,
    );
  }
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
  const y = tape.record(y_NHWC, [x, scale_C, offset_C], saved, (dy) => {
    const { dx_NHWC, dscale_C, doffset_C } = batchNormGrad(
      dy,
      x.value,
      scale_C.value,
      reserves,
      options,
    );
    return [dx_NHWC, dscale_C, doffset_C];
  });
  return { y, running: { mean_C, variance_C } };
}

/** Normalises with given statistics, which count as constants. */
export function batchNormInference(
  tape: Tape,
  x: Var,
  { scale_C, offset_C }: BatchNormWeights,
  { mean_C, variance_C }: RunningStatistics,
): Var {
  const options = { epsilon: EPSILON, training: false, momentum: 0 };
  const y_NHWC = scope(
    () => batchNormOp(x.value, scale_C.value, offset_C.value, mean_C, variance_C, options).y_NHWC,
  );
  const saved = [x.value, scale_C.value, mean_C, variance_C];
  return tape.record(y_NHWC, [x, scale_C, offset_C], saved, (dy) => {
    const { dx_NHWC, dscale_C, doffset_C } = batchNormGrad(
      dy,
      x.value,
      scale_C.value,
      [mean_C, variance_C, variance_C],
      options,
    );
    return [dx_NHWC, dscale_C, doffset_C];
  });
}
