/** The charts of a run: the same ones in a run's own report and where runs are compared. */
import { PHASES, TERMS } from '../telemetry/metricNames.js';
import type { Chart } from './chart.js';
import type { EvaluationRecord, StepRecord } from './stepRecords.js';

/** One run in a chart of several. */
export interface Named<T> {
  readonly name: string;
  readonly records: readonly T[];
}

/** The running means of a chart cover about this share of a run. */
const SMOOTHED_SHARE = 1 / 30;

/** Every term that the run has: unweighted, but for the total. */
export function lossChart(records: readonly StepRecord[], title = 'Loss terms'): Chart {
  const terms = TERMS.filter((term) => records.some(({ terms }) => (terms[term] ?? 0) !== 0));
  return {
    title,
    xLabel: 'step',
    yLabel: 'loss',
    logY: true,
    smoothing: smoothingOf(records.length),
    series: terms.map((term) => ({
      name: term,
      points: records.map(({ step, terms }) => [step, terms[term] ?? Number.NaN] as const),
    })),
  };
}

/** One term of several runs. */
export function termChart(term: string, runs: readonly Named<StepRecord>[], title: string): Chart {
  return {
    title,
    xLabel: 'step',
    yLabel: term,
    smoothing: smoothingOf(Math.max(0, ...runs.map(({ records }) => records.length))),
    series: runs.map(({ name, records }) => ({
      name,
      points: records.map(({ step, terms }) => [step, terms[term] ?? Number.NaN] as const),
    })),
  };
}

/** Mean IoU in percent over the steps, of one run or several. */
export function miouChart(runs: readonly Named<EvaluationRecord>[]): Chart {
  return {
    title: 'Mean IoU on val',
    xLabel: 'step',
    yLabel: 'mIoU, %',
    series: runs.map(({ name, records }) => ({
      name,
      points: records.map(({ step, miou }) => [step, 100 * miou] as const),
    })),
  };
}

export function learningRateChart(records: readonly StepRecord[]): Chart {
  return {
    title: 'Learning rate',
    xLabel: 'step',
    yLabel: 'learning rate',
    series: [
      {
        name: 'learning rate',
        points: records.map(({ step, learningRate }) => [step, learningRate] as const),
      },
    ],
  };
}

const PHASE_NAMES: Readonly<Record<(typeof PHASES)[number], string>> = {
  data: 'waiting for data',
  teacher: 'waiting for the teacher',
  compute: 'computing',
};

/** Where the time of a step went. */
export function timeChart(records: readonly StepRecord[], title = 'Time of a step'): Chart {
  return {
    title,
    xLabel: 'step',
    yLabel: 'seconds',
    smoothing: smoothingOf(records.length),
    series: PHASES.map((phase) => ({
      name: PHASE_NAMES[phase],
      points: records.map(({ step, seconds }) => [step, seconds[phase]] as const),
    })),
  };
}

function smoothingOf(steps: number): number {
  return Math.max(1, Math.round(steps * SMOOTHED_SHARE));
}
