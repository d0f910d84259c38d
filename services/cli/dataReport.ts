/** What `cirkd check-data` found, as text and as a picture. */
import type { DataReport, duplicates } from '../../src/data/check/dataCounts.js';
import { classSharesSvg } from '../../src/report/classShares.js';
import { classLegend } from '../../src/report/pictures.js';
import { textTable } from '../../src/report/textTable.js';

/** A dataset that was read, or the reason why it can't be opened. */
export type CheckedSet = DataReport & {
  /** `data.train`, `data.val`, or the dataset's name. */
  readonly name: string;
};

export interface CheckReport {
  readonly datasets: readonly CheckedSet[];
  /** Samples with the same image, pixel by pixel. */
  readonly duplicates: ReturnType<typeof duplicates>;
  /** Faults in all. */
  readonly faults: number;
}

/** Lines of one kind that are printed; --json has all. Faults are always printed. */
const MOST_LINES = 10;

export function checkText({ datasets, duplicates: same }: CheckReport): string {
  const parts = datasets.map(setText);
  if (same.length > 0) {
    const lines = same.map((group) => group.map(({ name, sample }) => `${name} ${sample}`));
    parts.push(
      section(
        'the same image',
        lines.map((line) => line.join(' = ')),
        MOST_LINES,
      ),
    );
  }
  return parts.join('\n');
}

function setText(set: CheckedSet): string {
  const { name, dataset, samples, read, pixels } = set;
  const title = name === dataset ? name : `${name}: ${dataset}`;
  const lines = [`${title}: ${samples} samples, ${read} read`];
  if (pixels > 0) lines.push(...pixelLines(set));
  const parts = [`${lines.join('\n')}\n`];
  if (read > 0) parts.push(classTable(set));
  const notes = (list: CheckedSet['faults']) => list.map(({ message }) => message);
  parts.push(section('warnings', notes(set.warnings), MOST_LINES));
  parts.push(section('faults', notes(set.faults), Number.POSITIVE_INFINITY));
  return parts.filter((part) => part !== '').join('\n');
}

function pixelLines(set: CheckedSet): string[] {
  const { pixels, ignoredPixels, unlabelledPixels, sizes, orientations, classes } = set;
  const share = (part: number) => `${((100 * part) / pixels).toFixed(2)} %`;
  const lines = [`${pixels} pixels, ${share(ignoredPixels)} without a class`];
  if (unlabelledPixels > 0) lines.push(`${share(unlabelledPixels)} in images without labels`);
  const shown = sizes.slice(0, 5).map((s) => `${s.height}×${s.width} (${s.images})`);
  if (sizes.length > shown.length) shown.push(`${sizes.length - shown.length} more`);
  lines.push(`sizes, height×width (images): ${shown.join(', ')}`);
  const turned = Object.entries(orientations).map(([k, images]) => `${k} (${images})`);
  if (turned.length > 0) lines.push(`EXIF orientations, applied (images): ${turned.join(', ')}`);
  const absent = classes.filter((one) => one.pixels === 0).map((one) => one.name);
  if (absent.length > 0)
    lines.push(`${absent.length} classes without a pixel: ${absent.join(', ')}`);
  return lines;
}

function classTable({ classes }: CheckedSet): string {
  return textTable({
    columns: ['class', 'pixels', '% of labelled', 'images'],
    rows: classes.map(({ name, pixels, share, images }) => [
      ...[name, String(pixels), (100 * share).toFixed(3), String(images)],
    ]),
  });
}

function section(title: string, lines: readonly string[], most: number): string {
  if (lines.length === 0) return '';
  const shown = lines.slice(0, most).map((line) => `  ${line}`);
  if (lines.length > most) shown.push(`  and ${lines.length - most} more`);
  return `${title}: ${lines.length}\n${shown.join('\n')}\n`;
}

/** An SVG: each class's share of the labelled pixels. */
export function checkPicture({ datasets, faults }: CheckReport): string {
  const widest = datasets.reduce((a, b) => (b.classes.length > a.classes.length ? b : a));
  const names = widest.classes.map(({ name }) => name);
  const legend = classLegend(
    names,
    widest.classes.map(({ colour }) => colour),
  );
  const images = datasets.map(({ name, read }) => `${name}: ${read}`).join(', ');
  return classSharesSvg({
    title: `Labelled pixels per class: ${datasets.map(({ dataset }) => dataset).join(', ')}`,
    subtitle: `Images read: ${images}. Faults: ${faults}.`,
    classes: legend.map(({ name, color }, k) => ({
      ...{ name, color },
      shares: datasets.map((set) => set.classes[k]?.share ?? null),
    })),
    datasets: datasets.map(({ name }) => name),
  });
}
