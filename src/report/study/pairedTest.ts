/** Compares two variants over the seeds that both have: a paired t-test and a sign-flip permutation test. */
import { tBound, twoSidedP } from './tDistribution.js';

/** More pairs than this are not flipped through: 2^n sums. */
const MOST_FLIPPED = 16;
/** Sums that differ by rounding only count as equal. */
const ROUNDING = 1e-12;
const CONFIDENCE = 0.95;

export interface Spread {
  readonly n: number;
  readonly mean: number;
  /** Of the sample (n - 1); null for one value. */
  readonly deviation: number | null;
}

export interface PairedTest extends Spread {
  /** 95 % t-interval of the mean difference; null for one pair. */
  readonly interval: readonly [number, number] | null;
  /** Two-sided p of the t-test; null for one pair, or if all differences are 0. */
  readonly p: number | null;
  /**
   * Two-sided p of the exact sign-flip test: the share of the 2^n ways to give the differences signs whose mean is
   * at least as far from 0. At least 2 / 2^n. null for one pair or more than 16.
   */
  readonly signFlipP: number | null;
}

/** null without a value. */
export function spreadOf(values: readonly number[]): Spread | null {
  const n = values.length;
  if (n === 0) return null;
  const mean = sum(values) / n;
  const squares = sum(values.map((value) => (value - mean) ** 2));
  return { n, mean, deviation: n === 1 ? null : Math.sqrt(squares / (n - 1)) };
}

/** @param differences one per seed; null without any */
export function pairedTest(differences: readonly number[]): PairedTest | null {
  const spread = spreadOf(differences);
  if (spread === null) return null;
  const { n, mean, deviation } = spread;
  if (deviation === null) return { ...spread, interval: null, p: null, signFlipP: null };
  const error = deviation / Math.sqrt(n);
  const reach = tBound(CONFIDENCE, n - 1) * error;
  const isNothing = differences.every((difference) => difference === 0);
  return {
    ...spread,
    interval: [mean - reach, mean + reach],
    // Equal differences have no error: t is infinite.
    p: isNothing ? null : twoSidedP(mean / error, n - 1),
    signFlipP: signFlipP(differences),
  };
}

function signFlipP(differences: readonly number[]): number | null {
  const n = differences.length;
  if (n > MOST_FLIPPED) return null;
  const observed = Math.abs(sum(differences));
  const least = observed - ROUNDING * sum(differences.map(Math.abs));
  let extreme = 0;
  for (let flips = 0; flips < 2 ** n; flips++) {
    let flipped = 0;
    for (let i = 0; i < n; i++) flipped += (flips >> i) & 1 ? -differences[i]! : differences[i]!;
    if (Math.abs(flipped) >= least) extreme++;
  }
  return extreme / 2 ** n;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
