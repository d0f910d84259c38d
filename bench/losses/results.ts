/** What was measured, as it is kept in the results' file. */
import type { MeasuredThere } from '../support/results.js';
import { median } from '../support/statistics.js';
import { necessaryProducts, type Point, type Products } from './points.js';
import type { SideName } from './sideProcess.js';
import type { Measured } from './sideReport.js';

/** One process. */
export interface SideRun extends Measured {
  readonly peakKiB: number;
}

export interface SideResult {
  /** Peak of the process that only makes the inputs. */
  readonly baseKiB: number;
  readonly runs: readonly SideRun[];
}

/** Why a side has no numbers. */
export interface Skipped {
  readonly skipped: string;
}

export interface PointResult {
  readonly point: Point;
  readonly sides: Readonly<Record<SideName, SideResult | Skipped>>;
}

export interface LossesFound {
  /** Measured with `--quick`: one round. */
  readonly quick?: boolean;
  readonly points: readonly PointResult[];
}

export type LossesResults = LossesFound & MeasuredThere;

export const isMeasured = (side: SideResult | Skipped): side is SideResult => 'runs' in side;

/** Of the processes' medians. */
export function medianMs({ runs }: SideResult): number {
  return median(runs.map(({ ms }) => median(ms)));
}

/** The largest of the processes. */
export function extraMiB({ runs, baseKiB }: SideResult): number {
  return (Math.max(...runs.map(({ peakKiB }) => peakKiB)) - baseKiB) / 1024;
}

/** How long the necessary products alone take at the rates of one process. */
export function productsMs(point: Point, rates: Products): number {
  const macs = necessaryProducts(point);
  const seconds =
    (2 * macs.student) / rates.student +
    (2 * macs.teacher) / rates.teacher +
    (2 * macs.gradient) / rates.gradient;
  return 1000 * seconds;
}
