/** The charts of a run: the same ones in a run's own report and where runs are compared. */
import type { Phase } from '../telemetry/metricNames.js';
import { DISCRIMINATOR_TERM, TERMS } from '../contract/terms.js';
import type { BarChart, LineChart, ShareChart } from './charts/chart.js';
import { type EvaluationRecord, phasesOf, type StepRecord, timeSplit } from './stepRecords.js';

/** One of the runs in a chart. */
export interface Named<T> {
  readonly name: string;
  readonly records: readonly T[];
  /** Default: by the run's index in the palette. */
  readonly color?: string;
}

/** Share of a run's steps that running means in charts cover. */
const SMOOTHED_SHARE = 1 / 30;

/** All terms of a run, unweighted except for the total. */
export function lossChart(records: readonly StepRecord[], title = 'Loss terms'): LineChart {
  const terms = TERMS.filter((term) => records.some(({ terms }) => (terms[term] ?? 0) !== 0));
  return {
    title,
    xLabel: 'step',
    yLabel: 'loss',
    // Leaves out what isn't above 0, as skd_holistic is at times: it has a chart of its own.
    logY: true,
    smoothing: smoothingOf(records.length),
    series: terms.map((term) => ({
      name: term,
      points: records.map(({ step, terms }) => [step, terms[term] ?? Number.NaN] as const),
    })),
  };
}

/** The adversarial losses, whose sign changes; null: the run has none. */
export function adversarialChart(records: readonly StepRecord[]): LineChart | null {
  const terms = ['skd_holistic', DISCRIMINATOR_TERM] as const;
  if (!records.some((record) => record.terms[DISCRIMINATOR_TERM] !== undefined)) return null;
  return {
    title: "Student's adversarial loss and the discriminator's own",
    xLabel: 'step',
    yLabel: 'loss',
    smoothing: smoothingOf(records.length),
    series: terms.map((term) => ({
      name: term,
      points: records.map((record) => [record.step, record.terms[term] ?? Number.NaN] as const),
    })),
  };
}

/** One term of several runs. */
export function termChart(
  term: string,
  runs: readonly Named<StepRecord>[],
  title: string,
): LineChart {
  return {
    title,
    xLabel: 'step',
    yLabel: term,
    smoothing: smoothingOf(Math.max(0, ...runs.map(({ records }) => records.length))),
    series: runs.map(({ name, records, color }) => ({
      name,
      ...(color === undefined ? {} : { color }),
      points: records.map(({ step, terms }) => [step, terms[term] ?? Number.NaN] as const),
    })),
  };
}

/** Mean IoU in percent over the steps, of one run or several. */
export function miouChart(runs: readonly Named<EvaluationRecord>[]): LineChart {
  return {
    title: 'Mean IoU on val',
    xLabel: 'step',
    yLabel: 'mIoU, %',
    series: runs.map(({ name, records, color }) => ({
      name,
      ...(color === undefined ? {} : { color }),
      points: records.map(({ step, miou }) => [step, 100 * miou] as const),
    })),
  };
}

export function learningRateChart(records: readonly StepRecord[]): LineChart {
  return learningRatesChart([{ name: 'learning rate', records }]);
}

export function learningRatesChart(runs: readonly Named<StepRecord>[]): LineChart {
  return {
    title: 'Learning rate',
    xLabel: 'step',
    yLabel: 'learning rate',
    series: runs.map(({ name, records }) => ({
      name,
      points: records.map(({ step, learningRate }) => [step, learningRate] as const),
    })),
  };
}

/** IoU in percent, with one group of bars per class and one bar per run. */
export function classChart(
  classNames: readonly string[],
  runs: readonly {
    readonly name: string;
    readonly iou: readonly (number | null)[];
    readonly color?: string;
  }[],
): BarChart {
  return {
    kind: 'bars',
    title: 'IoU of each class on val, last evaluation',
    yLabel: 'IoU, %',
    categories: classNames,
    series: runs.map(({ name, iou, color }) => ({
      name,
      ...(color === undefined ? {} : { color }),
      values: classNames.map((_, k) => (iou[k] == null ? null : 100 * iou[k])),
    })),
  };
}

const PHASE_NAMES: Readonly<Record<Phase, string>> = {
  data: 'waiting for data',
  teacher: 'waiting for the teacher',
  compute: 'computing',
  collectives: 'in collectives, waiting for other ranks included',
};

/** The time of each step, by phase. */
export function timeChart(records: readonly StepRecord[], title = 'Time of a step'): LineChart {
  return {
    title,
    xLabel: 'step',
    yLabel: 'seconds',
    smoothing: smoothingOf(records.length),
    series: phasesOf(records).map((phase) => ({
      name: PHASE_NAMES[phase],
      points: records.map(({ step, seconds }) => [step, seconds[phase] ?? Number.NaN] as const),
    })),
  };
}

/** The time of all steps, by phase, without evaluations and checkpoints. */
export function timeShareChart(runs: readonly Named<StepRecord>[]): ShareChart {
  const shown = phasesOf(runs.flatMap(({ records }) => records));
  return {
    kind: 'shares',
    title: 'Where the time of the steps went',
    parts: [...shown.map((phase) => PHASE_NAMES[phase]), 'rest'],
    rows: runs.map(({ name, records }) => {
      const { phases, rest, secondsPerStep } = timeSplit(records);
      return {
        name,
        values: [...shown.map((phase) => phases[phase]), rest],
        note: `${secondsPerStep.toPrecision(3)} s per step`,
      };
    }),
  };
}

function smoothingOf(steps: number): number {
  return Math.max(1, Math.round(steps * SMOOTHED_SHARE));
}
