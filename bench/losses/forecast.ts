/** What a point will take, from the points that were measured before it. */
import {
  isCompared,
  necessaryProducts,
  type Point,
  rowsOf,
  sameChannels,
  total,
  work,
} from './points.js';
import type { SideName } from './sideProcess.js';

/** Multiply-adds a second until something is measured. */
const FIRST_GUESS: Readonly<Record<SideName, number>> = { cirkd: 50e9, torch: 12e9 };

interface Known {
  readonly point: Point;
  readonly ms: number;
}

export class Forecast {
  readonly #known: Readonly<Record<SideName, Known[]>> = { cirkd: [], torch: [] };
  /** Measured memory to the first estimate: the largest of all. */
  #torchMemoryFactor = 1;

  record(side: SideName, point: Point, ms: number, extraMiB: number): void {
    this.#known[side].push({ point, ms });
    // In small points the loaded code outweighs the matrices.
    if (side === 'torch' && extraMiB > 500) {
      const ratio = extraMiB / firstTorchMiB(point);
      this.#torchMemoryFactor = Math.max(this.#torchMemoryFactor, ratio);
    }
  }

  /** In proportion to the products; of the points nearest in kind and size. */
  ms(side: SideName, point: Point): number {
    const kind = this.#known[side].filter(({ point: { loss } }) => loss === point.loss);
    const same = kind.filter((known) => sameChannels(known.point, point));
    const nearest = (same.length > 0 ? same : kind).toSorted(
      (a, b) => distance(a.point, point) - distance(b.point, point),
    )[0];
    if (nearest === undefined) return (1000 * work(point)) / FIRST_GUESS[side];
    return (nearest.ms * work(point)) / work(nearest.point);
  }

  /** null: not known to grow faster than the inputs. */
  extraMiB(side: SideName, point: Point): number | null {
    return side === 'cirkd' ? null : this.#torchMemoryFactor * firstTorchMiB(point);
  }
}

const distance = (a: Point, b: Point) => Math.abs(Math.log(work(a) / work(b)));

/** Maps that a compared loss may keep; the largest matrix is of positions pooled by 2 x 2. */
const COMPARED_MAPS = 10;

/**
 * Kept for backward: student's and teacher's distributions of all pairs; besides, four matrices of
 * one pair at work.
 */
function firstTorchMiB(point: Point): number {
  const rows = rowsOf(point);
  if (isCompared(point)) {
    const values = rows * (point.channels.student + point.channels.teacher);
    return (4 * (COMPARED_MAPS * values + (rows / 4) ** 2)) / 2 ** 20;
  }
  const cells =
    point.loss === 'memory'
      ? total(necessaryProducts(point)) / 3 / point.channels.teacher
      : rows ** 2;
  const atWork = point.loss === 'memory' ? cells : cells / point.images ** 2;
  return (4 * (2 * cells + 4 * atWork)) / 2 ** 20;
}
