/**
 * Batch normalisation, fused with an optional shortcut and activation, and its gradients; channels
 * last.
 */
import { float32 } from '../create.js';
import { execute, executeAll } from '../execute.js';
import { type Activation, relu, relu6 } from '../ops/activation.js';
import { add } from '../ops/combine.js';
import { batchNorm, batchNormGrad } from '../ops/normalisation.js';
import { OUTPUT, type Recomputation, type Saved, type Tape, type Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';

/** PyTorch's defaults, which the official networks keep. */
export const EPSILON = 1e-5;
/** The share of the new statistics. */
export const MOMENTUM = 0.1;

export interface BatchNormWeights {
  readonly scale_C: Var;
  readonly offset_C: Var;
}

export interface RunningStatistics {
  readonly mean_C: Tensor;
  readonly variance_C: Tensor;
}

/** The operations after the norm: activation(norm + shortcut). */
export interface AfterNorm {
  readonly activation: Activation;
  /** Has the norm's shape; null: nothing is added. */
  readonly shortcut: Var | null;
}

export const NOTHING: AfterNorm = { activation: 'none', shortcut: null };

export interface TrainedNorm {
  readonly y: Var;
  readonly running: RunningStatistics;
}

/**
 * Normalises with the batch's mean and biased variance. Also returns the running statistics after
 * this batch, 0.9 old + 0.1 new, where the new variance is the unbiased one.
 * Throws if a channel has a single value, because its variance is meaningless.
 */
export type BatchNormKernel = (
  tape: Tape,
  x: Var,
  weights: BatchNormWeights,
  running: RunningStatistics,
  after?: AfterNorm,
) => TrainedNorm;

function checked(
  kernel: (...call: Required<Parameters<BatchNormKernel>>) => TrainedNorm,
): BatchNormKernel {
  return (tape, x, weights, running, after = NOTHING) => {
    if (x.value.size <= weights.scale_C.value.size) {
      throw new Error(
        `batch norm: shape [${x.shape}] has one value per channel, training needs more (a batch of one image with a globally pooled layer?)`,
      );
    }
    return scope(() => kernel(tape, x, weights, running, after));
  };
}

/** One kernel of the addon for each direction (../native/batchNorm.cc); CPU only. */
export const nativeBatchNorm = checked((tape, x, { scale_C, offset_C }, running, after) => {
  const { activation, shortcut } = after;
  const [y_NHWC, mean_C, inverseDeviation_C, newMean_C, newVariance_C, shift_C] = executeAll(
    'CirkdBatchNorm',
    [
      ...[x.value, shortcut?.value ?? numbersOf(), scale_C.value, offset_C.value],
      ...[running.mean_C, running.variance_C],
      numbersOf(EPSILON, MOMENTUM, ACTIVATION_NUMBER[activation]),
    ],
    [],
    6,
  ) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
  const moments = { mean_C, inverseDeviation_C, shift_C };
  const y = tape.record(
    y_NHWC,
    normInputs(x, { scale_C, offset_C }, after),
    savedOfNorm(x, scale_C, moments, after),
    (dy, output) => nativeGradients(dy, gradientInputs(x, output, scale_C, moments, after), after),
    normalisedAgain(x, scale_C, moments, after),
  );
  return { y, running: { mean_C: newMean_C, variance_C: newVariance_C } };
});

/** As the batch's forward pass gave them. */
interface BatchMoments {
  readonly mean_C: Tensor;
  readonly inverseDeviation_C: Tensor;
  /** What was added to x * scale / deviation. */
  readonly shift_C: Tensor;
}

export const normInputs = (
  x: Var,
  { scale_C, offset_C }: BatchNormWeights,
  { shortcut }: AfterNorm,
): Var[] => [x, scale_C, offset_C, ...(shortcut === null ? [] : [shortcut])];

/** Whether the backward pass reads the output: without a shortcut it finds from x where the activation passed values on. */
const wantsOutput = ({ activation, shortcut }: AfterNorm) =>
  activation !== 'none' && shortcut !== null;

export const savedOfNorm = (
  x: Var,
  scale_C: Var,
  { mean_C, inverseDeviation_C, shift_C }: BatchMoments,
  after: AfterNorm,
): Saved[] => [
  x,
  ...(wantsOutput(after) ? ([OUTPUT] as const) : []),
  ...[scale_C, mean_C, inverseDeviation_C, shift_C],
];

/**
 * The first inputs of the addon's backward passes after dy. In place of an output that isn't wanted they take an empty
 * tensor; without an activation any finite map will do, and x is there.
 */
export function gradientInputs(
  x: Var,
  output: Var,
  scale_C: Var,
  { mean_C, inverseDeviation_C, shift_C }: BatchMoments,
  after: AfterNorm,
): Tensor[] {
  const withoutOutput = after.activation === 'none' ? x.value : numbersOf();
  const gate = wantsOutput(after) ? output.value : withoutOutput;
  return [x.value, gate, scale_C.value, mean_C, inverseDeviation_C, shift_C];
}

/** The same bits as the forward pass (../native/normalise.cc). */
export function normalisedAgain(
  x: Var,
  scale_C: Var,
  { inverseDeviation_C, shift_C }: BatchMoments,
  { activation, shortcut }: AfterNorm,
): Recomputation {
  const given = [scale_C, ...(shortcut === null ? [] : [shortcut])];
  return {
    saved: [x, ...given, inverseDeviation_C, shift_C],
    compute: () =>
      execute(
        'CirkdNormalise',
        [
          ...[x.value, shortcut?.value ?? numbersOf(), scale_C.value, inverseDeviation_C],
          ...[shift_C, numbersOf(ACTIVATION_NUMBER[activation])],
        ],
        [],
      ),
  };
}

/** The gradients of x, scale, offset and, if there is one, the shortcut. */
function nativeGradients(
  dy_NHWC: Tensor,
  saved: readonly Tensor[],
  { activation, shortcut }: AfterNorm,
): (Tensor | null)[] {
  const wantsShortcut = shortcut?.needsGradient ?? false;
  // Without an activation the shortcut's gradient is dy itself.
  const writesShortcut = wantsShortcut && activation !== 'none';
  const numbers = numbersOf(ACTIVATION_NUMBER[activation], writesShortcut ? 1 : 0);
  const [dx_NHWC, dscale_C, doffset_C, dshortcut] = executeAll(
    'CirkdBatchNormGrad',
    [dy_NHWC, ...saved, numbers],
    [],
    4,
  ) as [Tensor, Tensor, Tensor, Tensor];
  const own = [dx_NHWC, dscale_C, doffset_C];
  if (shortcut === null) return own;
  const passedOn = writesShortcut ? dshortcut : dy_NHWC;
  return [...own, wantsShortcut ? passedOn : null];
}

/** The addon's numbers for activations (../native/activation.h). */
export const ACTIVATION_NUMBER: Readonly<Record<Activation, number>> = {
  none: 0,
  relu: 1,
  relu6: 2,
};

/** A float32 vector; an empty one stands for an omitted input of the addon's kernels. */
export function numbersOf(...numbers: number[]): Tensor {
  return float32(Float32Array.from(numbers), [numbers.length]);
}

/** Composed of TensorFlow's ops; any device. */
export const composedBatchNorm = checked((tape, x, weights, running, after) => {
  const { scale_C, offset_C } = weights;
  const options = { epsilon: EPSILON, training: true, momentum: MOMENTUM };
  const { y_NHWC, mean_C, variance_C, reserves } = batchNorm(
    x.value,
    scale_C.value,
    offset_C.value,
    running.mean_C,
    running.variance_C,
    options,
  );
  const normed = tape.record(
    y_NHWC,
    [x, scale_C, offset_C],
    [x, scale_C, ...reserves],
    (dy) => batchNormGrad(dy, x.value, scale_C.value, reserves, options),
    {
      saved: [x, scale_C, offset_C, running.mean_C, running.variance_C],
      compute: () => {
        const { mean_C: mean, variance_C: variance } = running;
        return batchNorm(x.value, scale_C.value, offset_C.value, mean, variance, options).y_NHWC;
      },
    },
  );
  return { y: finish(tape, normed, after), running: { mean_C, variance_C } };
});

/** Normalises with given statistics, which are constants. TensorFlow's ops; any device. */
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
      () => batchNorm(x.value, scale_C.value, offset_C.value, mean_C, variance_C, options).y_NHWC,
    );
    const saved = [x, scale_C, mean_C, variance_C];
    const normed = tape.record(y_NHWC, [x, scale_C, offset_C], saved, (dy) =>
      batchNormGrad(dy, x.value, scale_C.value, [mean_C, variance_C, variance_C], options),
    );
    return finish(tape, normed, after);
  });
}

/** Adds shortcut and activation; frees intermediate results as soon as nothing needs them. */
export function finish(tape: Tape, normed: Var, { activation, shortcut }: AfterNorm): Var {
  const sum = shortcut === null ? normed : add(tape, normed, shortcut);
  if (sum !== normed) normed.value.dispose();
  if (activation === 'none') return sum;
  const y = activation === 'relu' ? relu(tape, sum) : relu6(tape, sum);
  sum.value.dispose();
  return y;
}
