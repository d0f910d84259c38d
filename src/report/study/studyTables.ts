/** A study's results as tables: scores with paired differences, seeds, classes, time. */
import type { ReportTable } from '../reportData.js';
import { type PairedTest, pairedTest, type Spread, spreadOf } from './pairedTest.js';
import {
  differences,
  failedRuns,
  type FinishedRun,
  finishedRuns,
  runOf,
  type StudyResults,
} from './studyRecord.js';

/** Smaller ones are not written out. */
const LEAST_P = 0.0001;

/** mIoU per variant: mean and deviation, difference to the baseline with interval and p, accuracy, time, runs. */
export function scoreTable(results: StudyResults): ReportTable {
  const { variants, seeds, baseline } = results;
  return {
    columns: [
      '',
      'mIoU, %',
      'difference, points',
      '95 % interval',
      'p, t-test',
      'p, sign flips',
      'pixel accuracy, %',
      'ms per step',
      'runs',
    ],
    rows: variants.map(({ name, title }) => {
      const runs = finishedRuns(results, name);
      return [
        title,
        spreadText(spreadOf(runs.map(({ miou }) => miou))),
        ...(name === baseline ? ['baseline', '', '', ''] : testCells(miouTest(results, name))),
        spreadText(spreadOf(runs.map(({ pixelAccuracy }) => pixelAccuracy))),
        stepMs(runs),
        `${runs.length} of ${seeds.length}`,
      ];
    }),
  };
}

/** mIoU of every run. */
export function seedTable(results: StudyResults): ReportTable {
  const { variants, seeds } = results;
  return {
    columns: ['mIoU, %', ...seeds.map((seed) => `seed ${seed}`)],
    rows: variants.map(({ name, title }) => [
      title,
      ...seeds.map((seed) => {
        const run = runOf(results, name, seed);
        if (run === undefined) return '';
        return run.state === 'failed' ? 'failed' : points(run.miou);
      }),
    ]),
  };
}

/** IoU of every class: mean and deviation, and the mean paired difference to the baseline. */
export function classTable(results: StudyResults): ReportTable {
  const { variants, baseline } = results;
  return {
    columns: ['IoU, %', ...variants.map(({ title }) => title)],
    rows: classNames(results).map((className) => [
      className,
      ...variants.map(({ name }) => {
        const values = finishedRuns(results, name).flatMap(({ iou }) => iou[className] ?? []);
        const spread = spreadText(spreadOf(values));
        const change = spreadOf(differences(results, name, ({ iou }) => iou[className] ?? null));
        if (name === baseline || change === null) return spread;
        return `${spread} (${signed(change.mean)})`;
      }),
    ]),
  };
}

/** Means over the runs of a variant; shares are of the time of all steps. */
export function timeTable(results: StudyResults): ReportTable {
  return {
    columns: ['', 's per run', 'ms per step', 'waiting for data, %', 'waiting for teachers, %'],
    rows: results.variants.map(({ name, title }) => {
      const runs = finishedRuns(results, name);
      const total = sumOf(runs, ({ seconds }) => seconds.total);
      if (total === 0) return [title, '', '', '', ''];
      return [
        title,
        (total / runs.length).toFixed(0),
        stepMs(runs),
        points(sumOf(runs, ({ seconds }) => seconds.data) / total),
        points(sumOf(runs, ({ seconds }) => seconds.teacher) / total),
      ];
    }),
  };
}

/** Exit code or signal of every failed run, and the last line that it wrote. */
export function failureTable(results: StudyResults): ReportTable {
  return {
    columns: ['failed run', 'ended with', 'last line'],
    rows: failedRuns(results).map(({ variant, seed, exitCode, signal, lastLines }) => [
      `${titleOf(results, variant)}, seed ${seed}`,
      signal === null ? `exit code ${exitCode}` : `signal ${signal}`,
      lastLines.at(-1) ?? '',
    ]),
  };
}

/** One sentence per variant: what the study says about it so far. */
export function findings(results: StudyResults): string[] {
  return othersOf(results).map(({ name, title }) =>
    finding(results, title, miouTest(results, name)),
  );
}

/** The sentence for the variant with the largest gain on the baseline. */
export function mainFinding(results: StudyResults): string {
  const tests = othersOf(results).flatMap(({ name, title }) => {
    const test = miouTest(results, name);
    return test === null ? [] : [{ title, test }];
  });
  const [best] = tests.sort((a, b) => b.test.mean - a.test.mean);
  return best === undefined ? '' : finding(results, best.title, best.test);
}

function othersOf({ variants, baseline }: StudyResults) {
  return variants.filter(({ name }) => name !== baseline);
}

function finding(results: StudyResults, title: string, test: PairedTest | null): string {
  if (test === null) return `${title}: no seed finished yet in both`;
  const { n, mean, interval, p } = test;
  const change = `${title} − ${titleOf(results, results.baseline)}: ${signed(mean)} points of mIoU`;
  if (interval === null) return `${change}, one seed`;
  const chance = p === null ? '' : `, p ${p < LEAST_P ? '' : '= '}${pText(p)}`;
  return `${change} (95 % interval ${intervalText(interval)}${chance}, ${n} seeds)`;
}

export function classNames(results: StudyResults): string[] {
  const runs = results.variants.flatMap(({ name }) => finishedRuns(results, name));
  return Object.keys(runs[0]?.iou ?? {});
}

export function titleOf({ variants }: StudyResults, variant: string): string {
  return variants.find(({ name }) => name === variant)?.title ?? variant;
}

function miouTest(results: StudyResults, variant: string): PairedTest | null {
  return pairedTest(differences(results, variant, ({ miou }) => miou));
}

function testCells(test: PairedTest | null): string[] {
  if (test === null) return ['', '', '', ''];
  const { mean, deviation, interval, p, signFlipP } = test;
  const around = deviation === null ? '' : ` ± ${points(deviation)}`;
  return [
    `${signed(mean)}${around}`,
    interval === null ? '' : intervalText(interval),
    p === null ? '' : pText(p),
    signFlipP === null ? '' : pText(signFlipP),
  ];
}

function intervalText([low, high]: readonly [number, number]): string {
  return `${signed(low)} to ${signed(high)}`;
}

function pText(p: number): string {
  return p < LEAST_P ? `< ${LEAST_P}` : p.toFixed(4);
}

function stepMs(runs: readonly FinishedRun[]): string {
  const steps = sumOf(runs, (run) => run.steps);
  return steps === 0
    ? ''
    : ((1000 * sumOf(runs, ({ seconds }) => seconds.total)) / steps).toFixed(0);
}

/** A share from 0 to 1 in per cent. */
function points(share: number): string {
  return (100 * share).toFixed(2);
}

function signed(share: number): string {
  const text = points(Math.abs(share));
  if (Number(text) === 0) return text;
  return share < 0 ? `−${text}` : `+${text}`;
}

function spreadText(spread: Spread | null): string {
  if (spread === null) return '';
  const { mean, deviation } = spread;
  return deviation === null ? points(mean) : `${points(mean)} ± ${points(deviation)}`;
}

function sumOf(runs: readonly FinishedRun[], value: (run: FinishedRun) => number): number {
  return runs.reduce((total, run) => total + value(run), 0);
}
