/** Prepares the points of a curve: gaps, thinning, running means. */

type Point = readonly [number, number];
/** null: a gap in the curve. */
export type CurvePoint = [number, number | null];

/** A curve with more points than pixels looks like a band instead of a line. */
const MAX_POINTS = 500;

/**
 * Selects the points to draw, at most about 500, without losing peaks. Each stretch between gaps is
 * replaced by its running mean over `window` points (1: unchanged).
 */
export function curve(
  points: readonly Point[],
  window: number,
  isUsable: (point: Point) => boolean,
): CurvePoint[] {
  const stretches = stretchesOf(points, isUsable);
  const total = stretches.reduce((sum, { length }) => sum + length, 0);
  const groupSize = total <= MAX_POINTS ? 1 : Math.ceil((2 * total) / MAX_POINTS);
  return stretches.flatMap((stretch, i): CurvePoint[] => {
    const line = thinned(window > 1 ? runningMean(stretch, window) : stretch, groupSize).map(
      ([x, y]): CurvePoint => [x, y],
    );
    return i === 0 ? line : [[line[0]![0], null], ...line];
  });
}

function stretchesOf(points: readonly Point[], isUsable: (point: Point) => boolean): Point[][] {
  const stretches: Point[][] = [[]];
  for (const point of points) {
    if (isUsable(point)) stretches.at(-1)?.push(point);
    else stretches.push([]);
  }
  return stretches.filter(({ length }) => length > 0);
}

/** Mean of the `window` points around each point; of fewer points at the ends. */
function runningMean(stretch: readonly Point[], window: number): Point[] {
  const half = Math.floor(window / 2);
  const sums = [0];
  for (const [, y] of stretch) sums.push((sums.at(-1) ?? 0) + y);
  return stretch.map(([x], index) => {
    const from = Math.max(0, index - half);
    const to = Math.min(stretch.length, index + half + 1);
    return [x, ((sums[to] ?? 0) - (sums[from] ?? 0)) / (to - from)];
  });
}

/** Keeps the smallest and the largest point of each group. */
function thinned(stretch: readonly Point[], groupSize: number): Point[] {
  if (groupSize === 1) return [...stretch];
  const kept: Point[] = [];
  for (let at = 0; at < stretch.length; at += groupSize) {
    const group = stretch.slice(at, at + groupSize).sort((a, b) => a[1] - b[1]);
    const ends = [...new Set([group[0]!, group.at(-1)!])];
    kept.push(...ends.sort((a, b) => a[0] - b[0]));
  }
  return kept;
}
