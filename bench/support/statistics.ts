/** Of a few numbers; at least one. */

import { median } from '../../services/cli/bench/measureWork.js';

export { median };

export function range(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** Below the lower one lies a quarter of the values, above the upper one another. */
export function quartiles(values: readonly number[]): [number, number] {
  return [quantile(values, 0.25), quantile(values, 0.75)];
}

/** Between neighbouring values, linear. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return below + (at - Math.floor(at)) * (above - below);
}

export interface RatioOfRounds {
  /** Of the medians. */
  readonly ratio: number;
  /** Of the rounds' own ratios. */
  readonly quartiles: readonly [number, number];
}

/** Of values that were measured in the same rounds. */
export function ratioOfRounds(values: readonly number[], others: readonly number[]): RatioOfRounds {
  return {
    ratio: median(values) / median(others),
    quartiles: quartiles(values.map((value, round) => value / others[round]!)),
  };
}
