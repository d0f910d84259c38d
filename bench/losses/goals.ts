/** What was wanted of the losses, each beside what was measured. */
import { GOAL_HEADER, goalRow, markdownTable, mib } from '../support/markdown.js';
import { isGoal, type Point, pointName, rowsOf, sameChannels } from './points.js';
import { extraMiB, isMeasured, type PointResult } from './results.js';
import { compare, overProducts } from './table.js';

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

export function goalTable(results: readonly PointResult[]): string {
  const rows = [
    ...results.filter(({ point }) => isGoal(point) && point.loss === 'minibatch').flatMap(goals),
    ...results.filter(({ point }) => point.loss === 'memory').flatMap(goals),
    ...memoryGrowth(results),
    ...largeSizes(results),
  ];
  return markdownTable(GOAL_HEADER, rows);
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
    .filter(({ point }) => point.images > 1 && point.height * point.width >= LARGE_ROWS)
    .filter(({ sides }) => isMeasured(sides.cirkd))
    .map(({ point, sides: { torch } }) => {
      const peer = isMeasured(torch) ? 'runs' : torch.skipped;
      return [`${pointName(point)} runs`, 'runs', `runs (PyTorch: ${peer})`, 'yes'];
    });
}
