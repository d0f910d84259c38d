/**
 * The source of every random draw in the project. A stream of draws is a pure function of (seed,
 * purpose, indices), so neither prefetch depth nor worker count nor a resume can change it.
 */

import { philox4x32 } from './philox.js';
import { type Draws, PhiloxDraws } from './philoxDraws.js';

export type { Draws };

export type Purpose =
  | 'order'
  | 'augmentation'
  | 'init'
  | 'dropout'
  | 'enqueue'
  | 'bank_sampling'
  | 'channel_enqueue'
  | 'channel_sampling'
  | 'penalty_shares'
  | 'synthetic'
  | 'jitter'
  | 'test';

/** Never change a number: it is part of the key of every stream. */
const PURPOSE_NUMBER: Readonly<Record<Purpose, number>> = {
  order: 1,
  augmentation: 2,
  init: 3,
  dropout: 4,
  enqueue: 5,
  bank_sampling: 6,
  synthetic: 7,
  jitter: 8,
  test: 9,
  channel_enqueue: 10,
  channel_sampling: 11,
  penalty_shares: 12,
};

const TWO_32 = 0x1_0000_0000;
/** A safe integer has 53 bits: 32 low and 21 high ones, which leaves 11 bits of the upper word. */
const HIGH_BITS = 21;

function checkIndex(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name}: got ${value}, wanted an integer from 0 to 2^53 - 1`);
  }
}

/**
 * The stream of draws for (seed, purpose, up to two indices), from its beginning.
 *
 * The indices, encrypted under the key (seed, purpose), become the stream's own key and the upper
 * half of its counter; the position is the lower half. Encryption is a bijection, so streams with
 * the same (seed, purpose) never overlap, and (), (0) and (0, 0) are three different streams.
 *
 * @throws RangeError naming the argument that isn't a non-negative safe integer
 */
export function drawsFor(seed: number, purpose: Purpose, ...indices: number[]): Draws {
  checkIndex('seed', seed);
  const purposeNumber = PURPOSE_NUMBER[purpose];
  if (purposeNumber === undefined) {
    throw new RangeError(
      `purpose: got ${String(purpose)}, wanted one of ${Object.keys(PURPOSE_NUMBER).join(', ')}`,
    );
  }
  if (indices.length > 2) {
    throw new RangeError(`indices: got ${indices.length}, wanted at most 2`);
  }
  const [first = 0, second = 0] = indices;
  checkIndex('indices[0]', first);
  checkIndex('indices[1]', second);
  const stream = new Uint32Array(4);
  philox4x32(
    first,
    Math.floor(first / TWO_32) + indices.length * 2 ** HIGH_BITS,
    second,
    Math.floor(second / TWO_32),
    seed,
    Math.floor(seed / TWO_32) + purposeNumber * 2 ** HIGH_BITS,
    stream,
  );
  return new PhiloxDraws(stream[0]!, stream[1]!, stream[2]!, stream[3]!);
}

/** The first 64 bits of `drawsFor(...)`, which identify the stream: see `Crop.augmentationSeed`. */
export function drawSeed64(seed: number, purpose: Purpose, ...indices: number[]): bigint {
  const draws = drawsFor(seed, purpose, ...indices);
  return (BigInt(draws.uint32()) << 32n) | BigInt(draws.uint32());
}
