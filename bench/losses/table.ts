/** The measured points as Markdown. */
import { markdownTable, mib, seconds, times } from '../support/markdown.js';
import { median, range } from '../support/statistics.js';
import { necessaryProducts, type Point, peerProducts, pointName, total } from './points.js';
import {
  extraMiB,
  isMeasured,
  medianMs,
  type PointResult,
  productsMs,
  type SideResult,
} from './results.js';
import type { Measured } from './sideReport.js';

/** Both sides, where both were measured. */
export interface Comparison {
  readonly faster: number;
  readonly fasterRange: readonly [number, number];
  readonly memoryShare: number;
}

export function compare({ sides }: PointResult): Comparison | null {
  const { cirkd, torch } = sides;
  if (!isMeasured(cirkd) || !isMeasured(torch)) return null;
  const rounds = torch.runs.map(({ ms }, i) => median(ms) / median(cirkd.runs[i]!.ms));
  return {
    faster: medianMs(torch) / medianMs(cirkd),
    fasterRange: range(rounds),
    memoryShare: extraMiB(cirkd) / extraMiB(torch),
  };
}

/** Time over that of the products alone, both of one process; the median of the processes. */
export function overProducts(point: Point, { runs }: SideResult): number {
  return median(runs.map(({ ms, flopPerSecond }) => median(ms) / productsMs(point, flopPerSecond)));
}

const HEADER = [
  'B',
  'H×W',
  'channels',
  'here, s',
  'products alone, s',
  'here / products',
  'PyTorch, s',
  'PyTorch / here',
  'here, MiB',
  'PyTorch, MiB',
  'memory, here / PyTorch',
];

/** Time and memory of points of which a side at least was measured. */
export function timeAndMemoryTable(results: readonly PointResult[]): string {
  return markdownTable(HEADER, results.filter(wasMeasured).map(row));
}

function row(result: PointResult): string[] {
  const { images, height, width, channels } = result.point;
  const { cirkd, torch } = result.sides;
  const compared = compare(result);
  const ours = isMeasured(cirkd)
    ? [
        timeCell(cirkd),
        seconds(median(cirkd.runs.map((run) => productsMs(result.point, run.flopPerSecond)))),
        overProducts(result.point, cirkd).toFixed(2),
      ]
    : [`skipped: ${cirkd.skipped}`, '', ''];
  return [
    String(images),
    `${height}×${width}`,
    `${channels.student}/${channels.teacher}`,
    ...ours,
    isMeasured(torch) ? timeCell(torch) : `skipped: ${torch.skipped}`,
    compared === null
      ? ''
      : `${times(compared.faster)} (${compared.fasterRange.map(times).join('–')})`,
    isMeasured(cirkd) ? mib(extraMiB(cirkd)) : '',
    isMeasured(torch) ? mib(extraMiB(torch)) : '',
    compared === null ? '' : compared.memoryShare.toFixed(3),
  ];
}

/** Points without any number, one line a reason. */
export function skippedLines(results: readonly PointResult[]): string {
  const reasons = new Map<string, string[]>();
  for (const result of results) {
    if (wasMeasured(result)) continue;
    const reason = reasonOf(result);
    reasons.set(reason, [...(reasons.get(reason) ?? []), pointName(result.point)]);
  }
  return [...reasons]
    .map(([reason, names]) => `- skipped (${reason}): ${names.join(', ')}`)
    .join('\n');
}

function reasonOf({ sides: { cirkd, torch } }: PointResult): string {
  const [here, peer] = [cirkd, torch].map((side) => (isMeasured(side) ? '' : side.skipped));
  return here === peer ? here! : `here: ${here}; PyTorch: ${peer}`;
}

const RATE_HEADER = [
  'GFLOP/s',
  'TensorFlow: student',
  'teacher',
  'gradient',
  'PyTorch: student',
  'teacher',
  'gradient',
  'the loss here',
  'the loss in PyTorch',
];

/** Rates of the plain products and of both losses, counting for each the products that it does. */
export function rateTable(results: readonly PointResult[]): string {
  const rows = results.filter(wasMeasured).map(({ point, sides: { cirkd, torch } }) => {
    const own = isMeasured(cirkd) ? total(necessaryProducts(point)) / medianMs(cirkd) : null;
    const peer = isMeasured(torch) ? peerProducts(point) / medianMs(torch) : null;
    // Two a multiply-add; per ms.
    const attained = (macs: number | null) => (macs === null ? '' : ((2 * macs) / 1e6).toFixed(0));
    return [pointName(point), ...rates(cirkd), ...rates(torch), attained(own), attained(peer)];
  });
  return markdownTable(RATE_HEADER, rows);
}

function rates(side: PointResult['sides']['cirkd']): string[] {
  const kinds = ['student', 'teacher', 'gradient'] as const;
  if (!isMeasured(side)) return kinds.map(() => '');
  const of = (kind: (typeof kinds)[number]) => (run: Measured) => run.flopPerSecond[kind] / 1e9;
  return kinds.map((kind) => median(side.runs.map(of(kind))).toFixed(0));
}

const wasMeasured = ({ sides }: PointResult) => Object.values(sides).some(isMeasured);

/** Median of all and the range of the processes' medians. */
function timeCell(side: SideResult): string {
  const [low, high] = range(side.runs.map(({ ms }) => median(ms)));
  const spread = side.runs.length > 1 ? ` (${seconds(low)}–${seconds(high)})` : '';
  return `${seconds(medianMs(side))}${spread}`;
}
