/** Dropout on a tape, whose mask is a pure function of a seed. */
import { scalar, vector } from '../create.js';
import { attribute, execute } from '../execute.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { cast, greaterEqual, mul } from './elementwise.js';

/**
 * What is dropped as a unit; channel: all positions of a channel in an image, like Dropout2d; image: the
 * whole map of an image, as in stochastic depth (drop path).
 */
export type DropoutUnit = 'element' | 'channel' | 'image';

export interface DropoutOptions {
  readonly probability: number;
  readonly unit: DropoutUnit;
}

/**
 * x [N, ..., C]: each element, each of the N * C channels, or each of the N images becomes 0 with the
 * given probability, otherwise x / (1 - probability). The mask is kept as bytes, which take a quarter of the factors'
 * memory.
 */
export function dropout(
  tape: Tape,
  x: Var,
  { probability, unit }: DropoutOptions,
  seed: readonly [number, number],
): Var {
  if (!(probability >= 0 && probability < 1)) {
    throw new Error(`probability: ${probability} given, wanted one in [0, 1)`);
  }
  const { kept, value } = scope(() => {
    const last = x.shape.length - 1;
    const isShared = (axis: number) =>
      unit === 'image' ? axis > 0 : unit === 'channel' && axis > 0 && axis < last;
    const units = x.shape.map((length, axis) => (isShared(axis) ? 1 : length));
    const kept = greaterEqual(statelessUniform(units, seed), scalar(probability));
    return { kept, value: masked(x.value, kept, probability) };
  });
  return tape.record(value, [x], [kept], (dy) => [masked(dy, kept, probability)]);
}

function masked(x: Tensor, kept: Tensor, probability: number): Tensor {
  return scope(() => mul(mul(x, cast(kept, 'float32')), scalar(1 / (1 - probability))));
}

/** Uniform in [0, 1), float32: Philox keyed by two int32, independent of the number of threads. */
function statelessUniform(shape: readonly number[], seed: readonly [number, number]): Tensor {
  return scope(() =>
    execute(
      'StatelessRandomUniform',
      [vector(shape), vector(seed)],
      [
        attribute.type('dtype', 'float32'),
        attribute.type('T', 'int32'),
        attribute.type('Tseed', 'int32'),
      ],
    ),
  );
}
