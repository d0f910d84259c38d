/** The lines of a chart: colours, gaps, thinning, running means. */

import { element } from '../markup.js';
import type { Plot } from './parts.js';
import type { Scale } from './scale.js';

export interface ChartSeries {
  readonly name: string;
  /** [x, y]; a y that isn't finite leaves a gap. */
  readonly points: readonly (readonly [number, number])[];
  /** CSS colour; one of the palette where it is left out. */
  readonly color?: string;
}

/** Where the plot lies, in pixels, and what its axes show. */
export interface Frame extends Plot {
  readonly x: Scale;
  readonly y: Scale;
}

/** How lines are drawn; part of a Chart. */
interface LineOptions {
  readonly logY?: boolean;
  readonly smoothing?: number;
}

type Point = readonly [number, number];

/** Okabe and Ito's palette, told apart by colour-blind people too; yellow left out on white. */
export const PALETTE = [
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#222222',
];

/** Dash patterns once the palette is used up. */
const DASHES = ['', '6 3', '2 3'];
/** More points than pixels make a band, not a line. */
const MAX_POINTS = 500;
/** Up to so many points each gets a dot: they are measurements, not a curve. */
const MAX_DOTS = 30;

/** The stroke of the series at a place in the list. */
export function lineStyle(
  index: number,
  color: string | undefined,
): { stroke: string; 'stroke-dasharray'?: string } {
  const dash = DASHES[Math.floor(index / PALETTE.length) % DASHES.length] ?? '';
  const stroke = color ?? PALETTE[index % PALETTE.length] ?? 'black';
  return dash === '' ? { stroke } : { stroke, 'stroke-dasharray': dash };
}

/** Points that can be drawn. */
export function usablePoints(series: ChartSeries, logY = false): Point[] {
  return series.points.filter((point) => isUsable(point, logY));
}

export function renderLine(
  series: ChartSeries,
  index: number,
  frame: Frame,
  { logY = false, smoothing = 1 }: LineOptions,
): string {
  const style = lineStyle(index, series.color);
  const runs = runsOf(series, logY);
  const dots =
    series.points.length <= MAX_DOTS
      ? runs.flat().map((point) => dot(point, frame, style.stroke))
      : [];
  const lines = runs.flatMap((run) =>
    smoothing > 1 && run.length > 2
      ? [
          polyline(run, frame, { ...style, 'stroke-width': 1, 'stroke-opacity': 0.25 }),
          polyline(runningMean(run, smoothing), frame, { ...style, 'stroke-width': 2 }),
        ]
      : [polyline(run, frame, { ...style, 'stroke-width': 1.8 })],
  );
  return [...lines, ...dots].join('');
}

function polyline(
  run: readonly Point[],
  frame: Frame,
  style: Readonly<Record<string, string | number>>,
): string {
  const points = thinned(run).map((point) =>
    pixelOf(point, frame)
      .map((at) => at.toFixed(1))
      .join(','),
  );
  return element('polyline', {
    points: points.join(' '),
    fill: 'none',
    'stroke-linejoin': 'round',
    ...style,
  });
}

function dot(point: Point, frame: Frame, fill: string): string {
  const [cx, cy] = pixelOf(point, frame);
  return element('circle', { cx, cy, r: 3, fill });
}

function pixelOf([x, y]: Point, frame: Frame): [number, number] {
  return [
    frame.left + frame.x.position(x) * frame.width,
    frame.top + (1 - frame.y.position(y)) * frame.height,
  ];
}

function isUsable([x, y]: Point, logY: boolean): boolean {
  return Number.isFinite(x) && Number.isFinite(y) && (!logY || y > 0);
}

/** Stretches without a gap. */
function runsOf(series: ChartSeries, logY: boolean): Point[][] {
  const runs: Point[][] = [[]];
  for (const point of series.points) {
    if (isUsable(point, logY)) runs.at(-1)?.push(point);
    else runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

/** Mean of the `window` points around each; of those there are at the ends. */
function runningMean(run: readonly Point[], window: number): Point[] {
  const half = Math.floor(window / 2);
  const sums = [0];
  for (const [, y] of run) sums.push((sums.at(-1) ?? 0) + y);
  return run.map(([x], index) => {
    const from = Math.max(0, index - half);
    const to = Math.min(run.length, index + half + 1);
    return [x, ((sums[to] ?? 0) - (sums[from] ?? 0)) / (to - from)];
  });
}

/** Keeps the smallest and the largest of each group, so that no peak is lost. */
function thinned(run: readonly Point[]): Point[] {
  if (run.length <= MAX_POINTS) return [...run];
  const groupSize = Math.ceil((2 * run.length) / MAX_POINTS);
  const kept: Point[] = [];
  for (let at = 0; at < run.length; at += groupSize) {
    const group = run.slice(at, at + groupSize).sort((a, b) => a[1] - b[1]);
    const ends = [group[0], group.at(-1)].filter((point) => point !== undefined);
    kept.push(...ends.sort((a, b) => a[0] - b[0]));
  }
  return kept;
}
