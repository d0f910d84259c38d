/** What a page shows of the results: goals, time and memory with the plot, rates. */
import type { Page } from '../support/bench.js';
import {
  goalRow,
  goalTableOf,
  mib,
  paragraphs,
  seconds,
  tableOf,
  times,
  within,
} from '../support/markdown.js';
import { machineLine } from '../support/results.js';
import { median, range } from '../support/statistics.js';
import { lossesPlot } from './plot.js';
import {
  isCompared,
  isGoal,
  necessaryProducts,
  type Point,
  type Products,
  peerProducts,
  pointName,
  rowsOf,
  sameChannels,
  total,
} from './points.js';
import {
  extraMiB,
  isMeasured,
  type LossesResults,
  medianMs,
  type PointResult,
  productsMs,
  type SideResult,
  type Skipped,
} from './results.js';
import type { SideName } from './sideProcess.js';

export const LOSSES_PAGE: Page<LossesResults> = {
  sections: (results, plot) => ({ losses: section(results, plot) }),
  plot: ({ points }) => lossesPlot(points),
};

function section(results: LossesResults, plot: string): string {
  const { points } = results;
  const relational = points.filter(({ point }) => !isCompared(point));
  const of = (loss: Point['loss']) => points.filter(({ point }) => point.loss === loss);
  // Only what was measured: --losses may have picked some.
  const part = (some: readonly PointResult[], ...lines: string[]) => (some.length > 0 ? lines : []);
  return paragraphs(
    machineLine(results),
    results.quick === true ? 'One round (`--quick`): a first look, not a measurement.' : '',
    ...goalSection(points),
    ...part(
      of('minibatch'),
      '### Mini-batch loss with gradient (`minibatch_pixel`)',
      timeAndMemoryTable(of('minibatch')),
      `![time and extra memory against positions](${plot})`,
    ),
    ...part(
      of('memory'),
      '### Both memory losses with gradient (`memory_pixel`, `memory_region`)',
      timeAndMemoryTable(of('memory')),
    ),
    ...comparedSection(points.filter(({ point }) => isCompared(point))),
    ...part(relational, '### Rates', rateTable(relational)),
    skippedLines(points),
  );
}

/** Nothing where none was measured. */
function comparedSection(results: readonly PointResult[]): string[] {
  const measured = results.filter(wasMeasured);
  if (measured.length === 0) return [];
  const table = tableOf(measured, [
    ['term', ({ point }) => `\`${point.loss}\``],
    ['B', ({ point }) => String(point.images)],
    ['H×W', ({ point }) => `${point.height}×${point.width}`],
    ['channels', ({ point: { channels } }) => `${channels.student}/${channels.teacher}`],
    ['here, s', ({ sides }) => timeCell(sides.cirkd)],
    ['PyTorch, s', ({ sides }) => timeCell(sides.torch)],
    ['PyTorch / here', ifBoth(({ faster, fasterRange }) => within(faster, fasterRange, times))],
    ['here, MiB', ({ sides }) => ifMeasured(sides.cirkd, (side) => mib(extraMiB(side)))],
    ['PyTorch, MiB', ({ sides }) => ifMeasured(sides.torch, (side) => mib(extraMiB(side)))],
    ['memory, here / PyTorch', ifBoth(({ memoryShare }) => memoryShare.toFixed(3))],
  ]);
  return ['### The other terms with gradient', table];
}

interface Wanted {
  readonly products: number;
  readonly faster: number;
  readonly memoryShare: number;
}

const MEMORY: Wanted = { products: 1.6, faster: 4, memoryShare: 0.2 };
const MINIBATCH: Wanted = { products: 1.4, faster: 5, memoryShare: 0.1 };
const MINIBATCH_WIDE: Wanted = { ...MINIBATCH, faster: 4 };

/** Where PyTorch's matrices no longer fit. */
const LARGE_ROWS = 128 * 256;

/** Nothing where no goal's size was measured. */
function goalSection(results: readonly PointResult[]): string[] {
  const rows = [
    ...results.filter(({ point }) => isGoal(point) && point.loss === 'minibatch').flatMap(goals),
    ...results.filter(({ point }) => point.loss === 'memory').flatMap(goals),
    ...memoryGrowth(results),
    ...largeSizes(results),
  ];
  return rows.length === 0 ? [] : ['### Goals', goalTableOf(rows)];
}

function goals(result: PointResult): string[][] {
  const { point, sides } = result;
  const compared = compare(result);
  if (!isMeasured(sides.cirkd) || compared === null) return [];
  const wanted = wantedOf(point);
  const name = pointName(point);
  const products = overProducts(point, sides.cirkd);
  return [
    goalRow(`${name}: time / products alone`, products, '≤', wanted.products),
    goalRow(`${name}: PyTorch's time / time`, compared.faster, '≥', wanted.faster),
    goalRow(`${name}: extra memory / PyTorch's`, compared.memoryShare, '≤', wanted.memoryShare),
  ];
}

function wantedOf({ loss, channels }: Point): Wanted {
  if (loss === 'memory') return MEMORY;
  return channels.student > 128 ? MINIBATCH_WIDE : MINIBATCH;
}

/** From the smallest to the largest map with the same images and channels. */
function memoryGrowth(results: readonly PointResult[]): string[][] {
  const measured = results.flatMap(({ point, sides: { cirkd } }) =>
    point.loss === 'minibatch' && isMeasured(cirkd) ? [{ point, extra: extraMiB(cirkd) }] : [],
  );
  const done = new Set<string>();
  return measured.flatMap(({ point }) => {
    const { images, channels } = point;
    const key = `B${images} ${channels.student}/${channels.teacher}`;
    if (done.has(key)) return [];
    done.add(key);
    const family = measured
      .filter((other) => other.point.images === images && sameChannels(other.point, point))
      .toSorted((a, b) => rowsOf(a.point) - rowsOf(b.point));
    const [small, large] = [family[0]!, family.at(-1)!];
    if (small === large) return [];
    const growth = rowsOf(large.point) / rowsOf(small.point);
    const from = `${small.point.height}×${small.point.width}`;
    const to = `${large.point.height}×${large.point.width}`;
    const name = `${key}: extra memory ${from} → ${to}, ${mib(small.extra)} → ${mib(large.extra)} MiB`;
    return [goalRow(name, large.extra / small.extra, '≤', growth)];
  });
}

function largeSizes(results: readonly PointResult[]): string[][] {
  return results
    .filter(
      ({ point }) =>
        !isCompared(point) && point.images > 1 && point.height * point.width >= LARGE_ROWS,
    )
    .filter(({ sides }) => isMeasured(sides.cirkd))
    .map(({ point, sides: { torch } }) => {
      const peer = isMeasured(torch) ? 'runs' : torch.skipped;
      return [`${pointName(point)} runs`, 'runs', `runs (PyTorch: ${peer})`, 'yes'];
    });
}

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
function overProducts(point: Point, { runs }: SideResult): number {
  return median(runs.map(({ ms, flopPerSecond }) => median(ms) / productsMs(point, flopPerSecond)));
}

/** Time and memory of points of which a side at least was measured. */
function timeAndMemoryTable(results: readonly PointResult[]): string {
  return tableOf(results.filter(wasMeasured), [
    ['B', ({ point }) => String(point.images)],
    ['H×W', ({ point }) => `${point.height}×${point.width}`],
    ['channels', ({ point: { channels } }) => `${channels.student}/${channels.teacher}`],
    ['here, s', ({ sides }) => timeCell(sides.cirkd)],
    [
      'products alone, s',
      ({ point, sides }) => ifMeasured(sides.cirkd, (side) => alone(point, side)),
    ],
    [
      'here / products',
      ({ point, sides }) => ifMeasured(sides.cirkd, (side) => overProducts(point, side).toFixed(2)),
    ],
    ['PyTorch, s', ({ sides }) => timeCell(sides.torch)],
    ['PyTorch / here', ifBoth(({ faster, fasterRange }) => within(faster, fasterRange, times))],
    ['here, MiB', ({ sides }) => ifMeasured(sides.cirkd, (side) => mib(extraMiB(side)))],
    ['PyTorch, MiB', ({ sides }) => ifMeasured(sides.torch, (side) => mib(extraMiB(side)))],
    ['memory, here / PyTorch', ifBoth(({ memoryShare }) => memoryShare.toFixed(3))],
  ]);
}

function ifMeasured(side: SideResult | Skipped, cell: (side: SideResult) => string): string {
  return isMeasured(side) ? cell(side) : '';
}

function ifBoth(cell: (compared: Comparison) => string): (result: PointResult) => string {
  return (result) => {
    const compared = compare(result);
    return compared === null ? '' : cell(compared);
  };
}

const alone = (point: Point, { runs }: SideResult) =>
  seconds(median(runs.map(({ flopPerSecond }) => productsMs(point, flopPerSecond))));

/** Points without any number, one line a reason. */
function skippedLines(results: readonly PointResult[]): string {
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

/** Rates of the plain products and of both losses, counting for each the products that it does. */
function rateTable(results: readonly PointResult[]): string {
  const rate = (side: SideName, kind: keyof Products) => (result: PointResult) =>
    ifMeasured(result.sides[side], ({ runs }) =>
      median(runs.map(({ flopPerSecond }) => flopPerSecond[kind] / 1e9)).toFixed(0),
    );
  // Two a multiply-add; per ms.
  const attained = (side: SideName, macs: (point: Point) => number) => (result: PointResult) =>
    ifMeasured(result.sides[side], (measured) =>
      ((2 * (macs(result.point) / medianMs(measured))) / 1e6).toFixed(0),
    );
  return tableOf(results.filter(wasMeasured), [
    ['GFLOP/s', ({ point }) => pointName(point)],
    ['TensorFlow: student', rate('cirkd', 'student')],
    ['teacher', rate('cirkd', 'teacher')],
    ['gradient', rate('cirkd', 'gradient')],
    ['PyTorch: student', rate('torch', 'student')],
    ['teacher', rate('torch', 'teacher')],
    ['gradient', rate('torch', 'gradient')],
    ['the loss here', attained('cirkd', (point) => total(necessaryProducts(point)))],
    ['the loss in PyTorch', attained('torch', peerProducts)],
  ]);
}

const wasMeasured = ({ sides }: PointResult) => Object.values(sides).some(isMeasured);

/** Median of all and the range of the processes' medians. */
function timeCell(side: SideResult | Skipped): string {
  if (!isMeasured(side)) return `skipped: ${side.skipped}`;
  if (side.runs.length === 1) return seconds(medianMs(side));
  return within(medianMs(side), range(side.runs.map(({ ms }) => median(ms))), seconds);
}
