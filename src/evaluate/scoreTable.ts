/** Scores as text for people and as plain data for programs. */
import type { MetricScores } from './segmentationMetric.js';

/** What `--json` prints and summaries hold. Shares, not percent. */
export interface ScoreReport {
  readonly miou: number;
  readonly miouPresent: number;
  readonly pixelAccuracy: number;
  /** As the official trainer counts it: logits cut to integers before the arg-max. */
  readonly pixelAccuracyReference: number;
  readonly labelledPixels: number;
  readonly classes: readonly {
    readonly name: string;
    /** null for a class that is neither in the labels nor predicted. */
    readonly iou: number | null;
  }[];
}

export function scoreReport(scores: MetricScores, classNames: readonly string[]): ScoreReport {
  return {
    miou: scores.miou,
    miouPresent: scores.miouPresent,
    pixelAccuracy: scores.pixelAccuracy,
    pixelAccuracyReference: scores.pixelAccuracyReference,
    labelledPixels: scores.labelled,
    classes: classNames.map((name, k) => ({
      name,
      iou: scores.union[k] === 0 ? null : scores.iou[k]!,
    })),
  };
}

/** A line a class, then the means; figures to five places. */
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

function figure(value: number | null): string {
  return value === null ? 'absent' : value.toFixed(5);
}
