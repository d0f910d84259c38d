/** Dropout on a tape, whose mask is a pure function of a seed. */
import { int32, readInt32, scalar, vector } from '../create.js';
import { attribute, execute, executeAll } from '../execute.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { bitcast, cast, greaterEqual, mul } from './elementwise.js';
import { reshape, rows } from './shape.js';

/**
 * What is dropped as a unit; channel: all positions of a channel in an image, like Dropout2d; image: the
 * whole map of an image, as in stochastic depth (drop path).
 */
export type DropoutUnit = 'element' | 'channel' | 'image';

export interface DropoutOptions {
  readonly probability: number;
  readonly unit: DropoutUnit;
  /** Number of x's first image in a larger batch, whose mask it gets its part of; default 0. */
  readonly firstImage?: number;
}

/**
 * x [N, ..., C]: each element, each of the N * C channels, or each of the N images becomes 0 with the
 * given probability, otherwise x / (1 - probability). The mask is kept as bytes, which take a quarter of the factors'
 * memory.
 */
export function dropout(
  tape: Tape,
  x: Var,
  { probability, unit, firstImage = 0 }: DropoutOptions,
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
    const size = units.reduce((product, length) => product * length, 1);
    const uniform = statelessUniform(units, seed, firstImage * (size / units[0]!));
    const kept = greaterEqual(uniform, scalar(probability));
    return { kept, value: masked(x.value, kept, probability) };
  });
  return tape.record(value, [x], [kept], (dy) => [masked(dy, kept, probability)], {
    saved: [x, kept],
    compute: () => masked(x.value, kept, probability),
  });
}

function masked(x: Tensor, kept: Tensor, probability: number): Tensor {
  return scope(() => mul(mul(x, cast(kept, 'float32')), scalar(1 / (1 - probability))));
}

/** Numbers made from one value of Philox's counter. */
const BLOCK = 4;

/**
 * Uniform in [0, 1), float32: Philox keyed by two int32, independent of the number of threads. The numbers are those
 * from `skipped` on of a longer vector.
 */
function statelessUniform(
  shape: readonly number[],
  seed: readonly [number, number],
  skipped: number,
): Tensor {
  if (skipped === 0) return uniformFromSeed(shape, seed);
  return scope(() => {
    const size = shape.reduce((product, length) => product * length, 1);
    const early = skipped % BLOCK;
    const numbers = uniformFromBlock([early + size], seed, Math.floor(skipped / BLOCK));
    return reshape(rows(numbers, early, size), shape);
  });
}

function uniformFromSeed(shape: readonly number[], seed: readonly [number, number]): Tensor {
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

/** The op's second version takes key and counter, which the first one makes from the seed. */
function uniformFromBlock(
  shape: readonly number[],
  seed: readonly [number, number],
  block: number,
): Tensor {
  return scope(() => {
    const [key, counter] = executeAll(
      'StatelessRandomGetKeyCounter',
      [vector(seed)],
      [attribute.type('Tseed', 'int32')],
      2,
    ) as [Tensor, Tensor];
    const algorithm = execute('StatelessRandomGetAlg', [], []);
    return execute(
      'StatelessRandomUniformV2',
      [vector(shape), key, advanced(counter, block), algorithm],
      [attribute.type('dtype', 'float32'), attribute.type('Tshape', 'int32')],
    );
  });
}

/** uint64 [2], the lower word first, of which the lower is increased. */
function advanced(counter: Tensor, block: number): Tensor {
  const words = readInt32(bitcast(counter, 'int32')).slice();
  const lower = new BigUint64Array(words.buffer, words.byteOffset, 1);
  lower[0] = BigInt.asUintN(64, lower[0]! + BigInt(block));
  return bitcast(int32(words, [2, 2]), 'uint64');
}
