/** Over all parameters at once: SGD's update, and whether gradients are finite. */
import { scalar } from '../create.js';
import { attribute, execute, executeAll } from '../execute.js';
import { add, concat, l2Loss, mul, reshape } from '../ops/index.js';
import type { Parameter } from '../parameter.js';
import { scope, type Tensor } from '../tensor.js';
import { numbersOf } from './batchNorm.js';

export interface MomentumUpdate {
  readonly parameter: Parameter;
  /** Of the parameter's shape. */
  readonly velocity: Parameter;
  /** null: zero. */
  readonly gradient: Tensor | null;
}

export interface MomentumNumbers {
  readonly rate: number;
  readonly momentum: number;
  readonly decay: number;
}

/**
 * velocity = momentum * velocity + gradient + decay * weights; weights -= rate * velocity, both in place, as PyTorch's
 * `optim.SGD`.
 */
export type MomentumKernel = (updates: readonly MomentumUpdate[], numbers: MomentumNumbers) => void;

/** One pass over all parameters, on all threads (../native/momentum.cc); CPU only. */
export const nativeMomentum: MomentumKernel = (updates, { rate, momentum, decay }) => {
  if (updates.length === 0) return;
  scope(() => {
    const none = numbersOf();
    const inputs = [
      ...updates.map(({ parameter }) => parameter.memory()),
      ...updates.map(({ velocity }) => velocity.memory()),
      ...updates.map(({ gradient }) => gradient ?? none),
      numbersOf(rate, momentum, decay),
    ];
    executeAll('CirkdMomentum', inputs, [attribute.int('N', updates.length)], 0);
  });
};

/** TensorFlow's ops, parameter by parameter; any device. */
export const composedMomentum: MomentumKernel = (updates, numbers) =>
  scope(() => {
    const [rate, momentum] = [scalar(numbers.rate), scalar(numbers.momentum)];
    const decay = scalar(numbers.decay);
    for (const { parameter, velocity, gradient } of updates) {
      scope(() => {
        // The inner scope frees the weights that were read: TensorFlow would copy them at the update otherwise.
        const decayed = scope(() => {
          const term = mul(parameter.read(), decay);
          return gradient === null ? term : add(gradient, term);
        });
        parameter.applyMomentum(velocity, decayed, rate, momentum);
      });
    }
  });

/**
 * A number for each tensor that is finite if all its elements are, except where their squares overflow: float32 [tensors].
 */
export type FinitenessKernel = (tensors: readonly Tensor[]) => Tensor;

/** The sums of squares, in one pass over all tensors (../native/momentum.cc); CPU only. */
export const nativeFiniteness: FinitenessKernel = (tensors) =>
  execute('CirkdSumsOfSquares', tensors, [attribute.int('N', tensors.length)]);

/** Half the sums of squares, by TensorFlow's ops; any device. */
export const composedFiniteness: FinitenessKernel = (tensors) =>
  scope(() =>
    concat(
      tensors.map((tensor) => reshape(l2Loss(tensor), [1])),
      0,
    ),
  );
