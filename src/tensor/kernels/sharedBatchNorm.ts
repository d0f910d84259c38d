/**
 * Batch normalisation in training over the maps of all ranks of a group, channels last: mean and variance, and
 * the sums of the backward pass, are those of all ranks together. One collective in each direction.
 *
 * With the loss of a rank being l_r, the gradients of x are those of the sum of all l_r, those of scale and offset
 * are this rank's part of it: the mean of the parts over the ranks is the gradient of the mean loss.
 */
import { scalar } from '../create.js';
import { execute, executeAll } from '../execute.js';
import { add, concat, mean, mul, reshape, rows, rsqrt, square, sub, sum } from '../ops/index.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import {
  ACTIVATION_NUMBER,
  type AfterNorm,
  type BatchNormWeights,
  EPSILON,
  finish,
  gradientInputs,
  MOMENTUM,
  NOTHING,
  normalisedAgain,
  normInputs,
  numbersOf,
  type RunningStatistics,
  savedOfNorm,
  type TrainedNorm,
} from './batchNorm.js';

/** The ranks whose maps are normalised together. */
export interface RankGroup {
  readonly size: number;
  /** [n, …] to [size * n, …], in the order of the ranks. */
  allGather(x: Tensor): Tensor;
}

/** As BatchNormKernel; all ranks call it with maps of one shape, and a rank may have one value per channel. */
export type SharedBatchNormKernel = (
  tape: Tape,
  x: Var,
  weights: BatchNormWeights,
  running: RunningStatistics,
  ranks: RankGroup,
  after?: AfterNorm,
) => TrainedNorm;

/** The addon's kernels (../native/sharedBatchNorm.cc); CPU only. */
export const nativeSharedBatchNorm: SharedBatchNormKernel = (
  tape,
  x,
  { scale_C, offset_C },
  running,
  ranks,
  after = NOTHING,
) =>
  scope(() => {
    const { activation, shortcut } = after;
    const own = execute('CirkdBatchNormMoments', [x.value], []);
    const [y_NHWC, mean_C, inverse_C, newMean_C, newVariance_C, shift_C] = executeAll(
      'CirkdSharedBatchNorm',
      [
        ...[x.value, shortcut?.value ?? numbersOf(), scale_C.value, offset_C.value],
        ...[running.mean_C, running.variance_C],
        numbersOf(EPSILON, MOMENTUM, ACTIVATION_NUMBER[activation]),
        ranks.allGather(own),
      ],
      [],
      6,
    ) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
    const moments = { mean_C, inverseDeviation_C: inverse_C, shift_C };
    const y = tape.record(
      y_NHWC,
      normInputs(x, { scale_C, offset_C }, after),
      savedOfNorm(x, scale_C, moments, after),
      (dy, output) => {
        const saved = gradientInputs(x, output, scale_C, moments, after);
        return nativeGradients(dy, saved, ranks, after);
      },
      normalisedAgain(x, scale_C, moments, after),
    );
    return { y, running: { mean_C: newMean_C, variance_C: newVariance_C } };
  });

function nativeGradients(
  dy_NHWC: Tensor,
  saved: readonly Tensor[],
  ranks: RankGroup,
  { activation, shortcut }: AfterNorm,
): (Tensor | null)[] {
  const wantsShortcut = shortcut?.needsGradient ?? false;
  // Without an activation the shortcut's gradient is dy itself.
  const writesShortcut = wantsShortcut && activation !== 'none';
  const number = ACTIVATION_NUMBER[activation];
  const [own, dscale_C, doffset_C, dshortcut] = executeAll(
    'CirkdBatchNormGradSums',
    [dy_NHWC, ...saved, numbersOf(number, writesShortcut ? 1 : 0)],
    [],
    4,
  ) as [Tensor, Tensor, Tensor, Tensor];
  const dx_NHWC = execute(
    'CirkdSharedBatchNormGrad',
    [dy_NHWC, ...saved, numbersOf(number), ranks.allGather(own)],
    [],
  );
  const gradients = [dx_NHWC, dscale_C, doffset_C];
  if (shortcut === null) return gradients;
  const passedOn = writesShortcut ? dshortcut : dy_NHWC;
  return [...gradients, wantsShortcut ? passedOn : null];
}

/** Composed of TensorFlow's ops; any device. */
export const composedSharedBatchNorm: SharedBatchNormKernel = (
  tape,
  x,
  { scale_C, offset_C },
  running,
  ranks,
  after = NOTHING,
) =>
  scope(() => {
    const { mean_C, variance_C, positions } = jointMoments(x.value, ranks);
    const inverse_C = rsqrt(add(variance_C, scalar(EPSILON)));
    const compute = () => {
      const centred = sub(x.value, mean_C);
      return add(mul(centred, mul(inverse_C, scale_C.value)), offset_C.value);
    };
    const normed = tape.record(
      compute(),
      [x, scale_C, offset_C],
      [x, scale_C, mean_C, inverse_C],
      (dy) => {
        const saved = [x.value, scale_C.value, mean_C, inverse_C];
        return composedGradients(dy, saved, ranks, positions);
      },
      { saved: [x, scale_C, offset_C, mean_C, inverse_C], compute },
    );
    const blend = (old: Tensor, now: Tensor, factor: number) =>
      add(mul(old, scalar(1 - MOMENTUM)), mul(now, scalar(MOMENTUM * factor)));
    return {
      y: finish(tape, normed, after),
      running: {
        mean_C: blend(running.mean_C, mean_C, 1),
        variance_C: blend(running.variance_C, variance_C, positions / (positions - 1)),
      },
    };
  });

const MAP_AXES = [0, 1, 2];

/** Mean and biased variance over all ranks, and their number of positions. */
function jointMoments(x_NHWC: Tensor, ranks: RankGroup) {
  const channels = x_NHWC.shape.at(-1)!;
  const own = x_NHWC.size / channels;
  const mean_C = mean(x_NHWC, MAP_AXES);
  const squares_C = sum(square(sub(x_NHWC, mean_C)), MAP_AXES);
  const all = ranks.allGather(reshape(concat([mean_C, squares_C], 0), [1, 2, channels]));
  const of = (part: number) =>
    concat(
      Array.from({ length: ranks.size }, (_, r) =>
        reshape(rows(reshape(all, [2 * ranks.size, channels]), 2 * r + part, 1), [1, channels]),
      ),
      0,
    );
  const means_RC = of(0);
  const jointMean_C = mean(means_RC, [0]);
  const between_C = sum(square(sub(means_RC, jointMean_C)), [0]);
  const positions = own * ranks.size;
  const total_C = add(sum(of(1), [0]), mul(between_C, scalar(own)));
  return { mean_C: jointMean_C, variance_C: mul(total_C, scalar(1 / positions)), positions };
}

function composedGradients(
  dy_NHWC: Tensor,
  saved: readonly Tensor[],
  ranks: RankGroup,
  positions: number,
): Tensor[] {
  const [x, scale_C, mean_C, inverse_C] = saved as [Tensor, Tensor, Tensor, Tensor];
  const channels = mean_C.size;
  const normalised = mul(sub(x, mean_C), inverse_C);
  const doffset_C = sum(dy_NHWC, MAP_AXES);
  const dscale_C = sum(mul(dy_NHWC, normalised), MAP_AXES);
  const own = reshape(concat([doffset_C, dscale_C], 0), [1, 2 * channels]);
  const total = reshape(sum(ranks.allGather(own), [0]), [2, channels]);
  const share = (row: number) =>
    mul(reshape(rows(total, row, 1), [channels]), scalar(1 / positions));
  const centred = sub(sub(dy_NHWC, share(0)), mul(normalised, share(1)));
  return [mul(centred, mul(scale_C, inverse_C)), dscale_C, doffset_C];
}
