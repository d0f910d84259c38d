/** Formats scores as text for people and as plain data for programs. */
import type { MetricScores } from './segmentationMetric.js';

/** The form that `--json` prints and summaries contain. Fractions, not percent. */
export interface ScoreReport {
  readonly miou: number;
  readonly miouPresent: number;
  readonly pixelAccuracy: number;
  /** Counted as by the official trainer: logits truncated to integers before the arg-max. */
  readonly pixelAccuracyReference: number;
  readonly labelledPixels: number;
  readonly classes: readonly {
    readonly name: string;
    /** null for a class that is neither in the labels nor predicted. */
    readonly iou: number | null;
    /** Pixels where both (intersection) or at least one (union) of label and prediction is the class. */
    readonly intersection: number;
    readonly union: number;
    readonly labelPixels: number;
    readonly predictedPixels: number;
  }[];
  /** [truth][prediction], pixels. */
  readonly confusion: readonly (readonly number[])[];
}

export function scoreReport(scores: MetricScores, classNames: readonly string[]): ScoreReport {
  const { length } = classNames;
  const confusion = classNames.map((_, k) => [
    ...scores.confusion.subarray(k * length, (k + 1) * length),
  ]);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    miou: scores.miou,
    miouPresent: scores.miouPresent,
    pixelAccuracy: scores.pixelAccuracy,
    pixelAccuracyReference: scores.pixelAccuracyReference,
    labelledPixels: scores.labelled,
    classes: classNames.map((name, k) => ({
      name,
      iou: scores.union[k] === 0 ? null : scores.iou[k]!,
      intersection: scores.intersection[k]!,
      union: scores.union[k]!,
      labelPixels: sum(confusion[k]!),
      predictedPixels: sum(confusion.map((row) => row[k]!)),
    })),
    confusion,
  };
}

/** One line per class, then the means, to five decimal places. */
export function scoreTable(report: ScoreReport): string {
  const present = report.classes.filter(({ iou }) => iou !== null).length;
  const rows: [string, string][] = [
    ...report.classes.map(({ name, iou }): [string, string] => [name, figure(iou)]),
    [`mIoU (all ${report.classes.length} classes)`, figure(report.miou)],
    [`mIoU (${present} present classes)`, figure(report.miouPresent)],
    ['pixel accuracy', figure(report.pixelAccuracy)],
    ['pixel accuracy (integer logits)', figure(report.pixelAccuracyReference)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/**
 * The confusion matrix in percent of the true class' pixels: one line per true class, one column per
 * predicted class (by number). Zeros are shown as dots, so that confusions stand out.
 */
export function confusionTable({ classes, confusion }: ScoreReport): string {
  const names = classes.map(({ name }, k) => `${k} ${name}`);
  const width = Math.max(...names.map((name) => name.length), TRUTH.length);
  const columns = classes.map((_, k) => String(k).padStart(PERCENT_WIDTH));
  const lines = confusion.map((row, truth) => {
    const pixels = classes[truth]!.labelPixels;
    const shares = row.map((count) => percent(count, pixels).padStart(PERCENT_WIDTH));
    return `${names[truth]!.padEnd(width)}${shares.join('')}`;
  });
  return [`${TRUTH.padEnd(width)}${columns.join('')}`, ...lines].join('\n');
}

const TRUTH = 'truth \\ prediction, %';
const PERCENT_WIDTH = 7;

function percent(count: number, of: number): string {
  return count === 0 ? '·' : ((100 * count) / of).toFixed(2);
}

function figure(value: number | null): string {
  return value === null ? 'absent' : value.toFixed(5);
}
