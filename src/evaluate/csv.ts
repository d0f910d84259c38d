/** Scores and confusion matrix for spreadsheets: RFC 4180, a header line, LF at line ends. */
import type { ScoreReport } from './scoreTable.js';

/** One line per class: name, IoU (empty for an absent class), pixel counts. */
export function classesCsv({ classes }: ScoreReport): string {
  return table([
    ['class', 'iou', 'intersection_pixels', 'union_pixels', 'label_pixels', 'predicted_pixels'],
    ...classes.map(({ name, iou, intersection, union, labelPixels, predictedPixels }) => [
      name,
      iou ?? '',
      intersection,
      union,
      labelPixels,
      predictedPixels,
    ]),
  ]);
}

/** Pixel counts: one line per true class, one column per predicted class. */
export function confusionCsv({ classes, confusion }: ScoreReport): string {
  return table([
    ['truth \\ prediction', ...classes.map(({ name }) => name)],
    ...confusion.map((row, truth) => [classes[truth]!.name, ...row]),
  ]);
}

function table(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('');
}

function cell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
