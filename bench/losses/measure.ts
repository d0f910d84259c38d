/** One point: which sides can be measured, and their processes in turns. */
import type { Measuring } from '../support/bench.js';
import { inRounds } from '../support/rounds.js';
import type { Forecast } from './forecast.js';
import { isGoal, type Point, pointName } from './points.js';
import {
  extraMiB,
  type LossesFound,
  medianMs,
  type PointResult,
  type SideResult,
  type SideRun,
  type Skipped,
} from './results.js';
import { LimitReached, type Limits, runSide, type SideName } from './sideProcess.js';
import { assertAgreement, type SideReport, type SideTask } from './sideReport.js';

export interface Measurement extends Measuring<LossesFound> {
  readonly limits: Limits;
  readonly forecast: Forecast;
  /** One round of each point. */
  readonly quick: boolean;
}

const MAX_REPETITIONS = 3;
const MAX_SECONDS = 10;
const PRODUCT_SECONDS = { cirkd: 1.5, torch: 1 };
/** Starting a process and making the inputs. */
const START_SECONDS = { cirkd: 3, torch: 4 };
/** A round that takes longer than this is not repeated, but for the goals. */
const LONG_ROUND_SECONDS = 40;

const SIDES: readonly SideName[] = ['cirkd', 'torch'];

/** Why a side can't be measured within the limits. */
function reasonToSkip(side: SideName, point: Point, measurement: Measurement): string | null {
  const { forecast, limits } = measurement;
  const seconds = forecast.ms(side, point) / 1000;
  const gib = (forecast.extraMiB(side, point) ?? 0) / 1024;
  if (gib > limits.memoryGiB) return `would take ${gib.toFixed(0)} GiB`;
  if (seconds > limits.seconds) return `would take ${seconds.toFixed(0)} s`;
  return null;
}

function roundsOf(point: Point, measurement: Measurement): number {
  if (measurement.quick) return 1;
  if (point.loss === 'memory' || isGoal(point)) return 3;
  return roundSeconds(point, measurement) > LONG_ROUND_SECONDS ? 1 : 2;
}

/** Of the whole point. */
export function expectedSeconds(point: Point, measurement: Measurement): number {
  const bases = activeSides(point, measurement).reduce((sum, side) => sum + START_SECONDS[side], 0);
  return bases + roundsOf(point, measurement) * roundSeconds(point, measurement);
}

function roundSeconds(point: Point, measurement: Measurement): number {
  return activeSides(point, measurement)
    .map((side) => {
      const one = measurement.forecast.ms(side, point) / 1000;
      const repetitions = Math.min(MAX_REPETITIONS, Math.ceil(MAX_SECONDS / one));
      return START_SECONDS[side] + repetitions * one + PRODUCT_SECONDS[side];
    })
    .reduce((sum, seconds) => sum + seconds, 0);
}

const activeSides = (point: Point, measurement: Measurement) =>
  SIDES.filter((side) => reasonToSkip(side, point, measurement) === null);

/** Throws Error where the sides computed different things. */
export async function measurePoint(point: Point, measurement: Measurement): Promise<PointResult> {
  const rounds = roundsOf(point, measurement);
  const skipped: Partial<Record<SideName, string>> = {};
  for (const side of SIDES) {
    const reason = reasonToSkip(side, point, measurement);
    if (reason !== null) skipped[side] = reason;
  }
  const base: Partial<Record<SideName, number>> = {};
  const runs: Record<SideName, SideRun[]> = { cirkd: [], torch: [] };
  const attempt = async (side: SideName, inputsOnly: boolean, keep: (got: SideReport) => void) => {
    if (skipped[side] !== undefined) return;
    try {
      keep(await report(side, point, inputsOnly, measurement));
    } catch (error) {
      if (!(error instanceof LimitReached)) throw error;
      skipped[side] = error.message;
    }
  };
  for (const side of SIDES) {
    await attempt(side, true, ({ peakKiB }) => {
      base[side] = peakKiB;
    });
  }
  await inRounds([SIDES], { rounds }, (side) =>
    attempt(side, false, ({ peakKiB, measured }) => {
      runs[side].push({ peakKiB, ...measured! });
      measurement.say(`${pointName(point)}: ${side} ${measured!.ms.map(Math.round).join(', ')} ms`);
    }),
  );
  const result = (side: SideName): SideResult | Skipped => {
    const reason = skipped[side];
    if (reason !== undefined) return { skipped: reason };
    const side_ = { baseKiB: base[side]!, runs: runs[side] };
    measurement.forecast.record(side, point, medianMs(side_), extraMiB(side_));
    return side_;
  };
  for (const ours of runs.cirkd) for (const peer of runs.torch) assertAgreement(point, ours, peer);
  return { point, sides: { cirkd: result('cirkd'), torch: result('torch') } };
}

async function report(
  side: SideName,
  point: Point,
  inputsOnly: boolean,
  { limits, threads, peer: torch, engines }: Measurement,
): Promise<SideReport> {
  const task: SideTask = {
    point,
    inputsOnly,
    threads,
    maxRepetitions: MAX_REPETITIONS,
    maxSeconds: MAX_SECONDS,
    productSeconds: PRODUCT_SECONDS[side],
  };
  const got = await runSide(side, task, limits, torch);
  engines[side] = got.engine;
  return got;
}
