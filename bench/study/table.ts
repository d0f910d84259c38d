/** Scores over seeds as a Markdown table: each seed, mean, deviation, and the paired difference. */

export interface StudyRun {
  readonly seed: number;
  readonly variant: string;
  /** Both 0..1. */
  readonly miou: number;
  readonly pixelAccuracy: number;
}

/** Differences are to the first variant, seed by seed; deviations are of the sample (n - 1). */
export function studyTable(runs: readonly StudyRun[]): string {
  const variants = [...new Set(runs.map((run) => run.variant))];
  const seeds = [...new Set(runs.map((run) => run.seed))];
  const score = (variant: string, seed: number) =>
    runs.find((run) => run.variant === variant && run.seed === seed);
  const rows = variants.map((variant) => {
    const own = seeds.flatMap((seed) => score(variant, seed) ?? []);
    const differences = seeds.flatMap((seed) => {
      const [a, b] = [score(variant, seed), score(variants[0]!, seed)];
      return a === undefined || b === undefined ? [] : [a.miou - b.miou];
    });
    return [
      variant,
      ...seeds.map((seed) => percent(score(variant, seed)?.miou)),
      spread(own.map((run) => run.miou)),
      variant === variants[0] ? '' : spread(differences, true),
      spread(own.map((run) => run.pixelAccuracy)),
    ];
  });
  const header = [
    'mIoU %',
    ...seeds.map((seed) => `seed ${seed}`),
    'mean ± sd',
    `paired to ${variants[0]}`,
    'pixel accuracy %',
  ];
  return [header, header.map(() => '---'), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
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
