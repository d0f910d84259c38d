/** Runs over seeds as Markdown tables: scores with paired differences, and what a step took. */
import { markdownTable } from '../support/markdown.js';
import type { StudyRun } from './studyRun.js';

/**
 * Scores: differences are seed by seed, to the first variant and to the row above; deviations are
 * of the sample (n - 1).
 */
export function studyTable(runs: readonly StudyRun[]): string {
  const variants = [...new Set(runs.map((run) => run.variant))];
  const seeds = [...new Set(runs.map((run) => run.seed))].sort((a, b) => a - b);
  const score = (variant: string | undefined, seed: number) =>
    runs.find((run) => run.variant === variant && run.seed === seed);
  const paired = (variant: string, other: string | undefined) => {
    const differences = seeds.flatMap((seed) => {
      const [a, b] = [score(variant, seed), score(other, seed)];
      return a === undefined || b === undefined ? [] : [a.miou - b.miou];
    });
    return spread(differences, true);
  };
  const rows = variants.map((variant, row) => {
    const own = seeds.flatMap((seed) => score(variant, seed) ?? []);
    return [
      variant,
      ...seeds.map((seed) => percent(score(variant, seed)?.miou)),
      spread(own.map((run) => run.miou)),
      row === 0 ? '' : paired(variant, variants[0]),
      row === 0 ? '' : paired(variant, variants[row - 1]),
      spread(own.map((run) => run.pixelAccuracy)),
    ];
  });
  const header = [
    'mIoU %',
    ...seeds.map((seed) => `seed ${seed}`),
    'mean ± sd',
    `paired to ${variants[0]}`,
    'paired to the row above',
    'pixel accuracy %',
  ];
  return markdownTable(header, rows);
}

/** Means over the runs of a variant; shares are of the time of all steps. */
export function timeTable(runs: readonly StudyRun[]): string {
  const variants = [...new Set(runs.map((run) => run.variant))];
  const rows = variants.map((variant) => {
    const own = runs.filter((run) => run.variant === variant);
    const sum = (value: (run: StudyRun) => number) =>
      own.reduce((total, run) => total + value(run), 0);
    const total = sum((run) => run.seconds.total);
    const share = (phase: 'data' | 'teacher') =>
      percent(total === 0 ? undefined : sum((run) => run.seconds[phase]) / total);
    return [
      variant,
      (total / own.length).toFixed(0),
      ((1000 * total) / sum((run) => run.steps)).toFixed(0),
      share('data'),
      share('teacher'),
    ];
  });
  const header = ['', 's per run', 'ms per step', 'waiting for data %', 'waiting for teachers %'];
  return markdownTable(header, rows);
}

function percent(value: number | undefined): string {
  return value === undefined ? '' : (100 * value).toFixed(2);
}

function spread(values: readonly number[], signed = false): string {
  if (values.length === 0) return '';
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const sign = signed && mean >= 0 ? '+' : '';
  if (values.length === 1) return `${sign}${percent(mean)}`;
  const squares = values.map((value) => (value - mean) ** 2).reduce((a, b) => a + b, 0);
  return `${sign}${percent(mean)} ± ${percent(Math.sqrt(squares / (values.length - 1)))}`;
}
