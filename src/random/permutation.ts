/** Random permutations, and samples without replacement. */

/** The part of a stream of draws that a shuffle needs. */
interface IntegerDraws {
  /** Uniform and unbiased in [0, below). */
  integer(below: number): number;
}

/** If `take` is at least this share of n, an array of n is cheaper than a map of moved entries. */
const DENSE_SHARE = 1 / 8;

/**
 * The first `take` entries of a Fisher–Yates shuffle of 0 … n-1: all permutations are equally
 * likely, and the result for a smaller `take` is a prefix of that for a larger one.
 *
 * @returns int32 [take]; takes time and memory O(take)
 * @throws RangeError unless 0 ≤ take ≤ n < 2^31
 */
export function partialPermutation(draws: IntegerDraws, n: number, take: number): Int32Array {
  if (!Number.isInteger(n) || n < 0 || n >= 2 ** 31) {
    throw new RangeError(`n: got ${n}, wanted an integer from 0 to 2^31 - 1`);
  }
  if (!Number.isInteger(take) || take < 0 || take > n) {
    throw new RangeError(`take: got ${take}, wanted an integer from 0 to n = ${n}`);
  }
  return take >= n * DENSE_SHARE ? shuffleDense(draws, n, take) : shuffleSparse(draws, n, take);
}

function shuffleDense(draws: IntegerDraws, n: number, take: number): Int32Array {
  const entries = new Int32Array(n);
  for (let i = 0; i < n; i++) entries[i] = i;
  for (let i = 0; i < take; i++) {
    const j = i + draws.integer(n - i);
    const chosen = entries[j]!;
    entries[j] = entries[i]!;
    entries[i] = chosen;
  }
  return take === n ? entries : entries.slice(0, take);
}

function shuffleSparse(draws: IntegerDraws, n: number, take: number): Int32Array {
  const moved = new Map<number, number>();
  const result = new Int32Array(take);
  for (let i = 0; i < take; i++) {
    const j = i + draws.integer(n - i);
    result[i] = moved.get(j) ?? j;
    moved.set(j, moved.get(i) ?? i);
    moved.delete(i);
  }
  return result;
}
