/** Time and extra memory against positions, both axes logarithmic, as one SVG. */
import { type ChartSeries, lineStyle, PALETTE, renderLine } from '../../src/report/charts/lines.js';
import { FONT, INK, label, MUTED } from '../../src/report/charts/parts.js';
import { logScale, type Scale } from '../../src/report/charts/scale.js';
import { element, escapeText, textWidth } from '../../src/report/markup.js';
import type { Point } from './points.js';
import { extraMiB, isMeasured, medianMs, type PointResult, type SideResult } from './results.js';

const PANEL = { width: 440, height: 320 };
const FRAME = { left: 66, top: 64, width: 352, height: 204 };
const GRID = '#e4e8ed';
const SIDES = { cirkd: 'here', torch: 'PyTorch' } as const;

/** Mini-batch loss at the batch that has most sizes. */
export function lossesPlot(results: readonly PointResult[]): string {
  const minibatch = results.filter(({ point }) => point.loss === 'minibatch');
  const images = busiestBatch(minibatch);
  const shown = minibatch.filter(({ point }) => point.images === images);
  const positions = [...new Set(shown.map(({ point }) => positionsOf(point)))].sort(
    (a, b) => a - b,
  );
  const panel = (title: string, unit: string, value: (side: SideResult) => number, x: number) =>
    renderPanel(`${title}, B = ${images}`, unit, series(shown, value), positions, x);
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width: 2 * PANEL.width,
      height: PANEL.height,
      viewBox: `0 0 ${2 * PANEL.width} ${PANEL.height}`,
      'font-family': FONT,
      role: 'img',
    },
    `<title>${escapeText('Mini-batch loss with gradient')}</title>` +
      element('rect', { width: 2 * PANEL.width, height: PANEL.height, fill: 'white' }) +
      panel('Time', 's', (side) => medianMs(side) / 1000, 0) +
      panel('Extra memory', 'MiB', extraMiB, PANEL.width),
  );
}

const positionsOf = ({ height, width }: Point) => height * width;

function busiestBatch(results: readonly PointResult[]): number {
  const counts = new Map<number, number>();
  for (const { point, sides } of results) {
    if (isMeasured(sides.cirkd)) counts.set(point.images, (counts.get(point.images) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 1;
}

/** A line for each side and pair of channels. */
function series(
  results: readonly PointResult[],
  value: (side: SideResult) => number,
): ChartSeries[] {
  const channels = new Set(
    results.map(({ point }) => `${point.channels.student}/${point.channels.teacher}`),
  );
  const lines = [...channels].flatMap((pair) =>
    (['cirkd', 'torch'] as const).map((side) => ({ pair, side })),
  );
  return lines.map(({ pair, side }, index) => ({
    name: `${SIDES[side]} ${pair}`,
    color: PALETTE[index]!,
    points: results
      .filter(({ point }) => `${point.channels.student}/${point.channels.teacher}` === pair)
      .flatMap(({ point, sides }): [number, number][] => {
        const one = sides[side];
        return isMeasured(one) ? [[positionsOf(point), value(one)]] : [];
      })
      .sort((a, b) => a[0] - b[0]),
  }));
}

function renderPanel(
  title: string,
  unit: string,
  lines: readonly ChartSeries[],
  positions: readonly number[],
  left: number,
): string {
  const x: Scale = {
    ...logScale(positions),
    ticks: positions.map((value) => ({ value, label: String(value) })),
  };
  const frame = {
    ...FRAME,
    x,
    y: logScale(lines.flatMap(({ points }) => points.map(([, y]) => y))),
  };
  return element(
    'svg',
    { x: left, y: 0, ...PANEL },
    label(title, { x: 14, y: 21, 'font-size': 15, 'font-weight': 'bold', fill: INK }) +
      legend(lines) +
      axes(frame, unit) +
      lines.map((line, index) => renderLine(line, index, frame, { logY: true })).join(''),
  );
}

function legend(lines: readonly ChartSeries[]): string {
  let x = 14;
  return lines
    .map(({ name, color }, index) => {
      const key = element('line', {
        x1: x,
        y1: 42,
        x2: x + 14,
        y2: 42,
        'stroke-width': 2.5,
        ...lineStyle(index, color),
      });
      const text = label(name, { x: x + 18, y: 46, 'font-size': 10, fill: INK });
      x += 26 + textWidth(name, 10);
      return key + text;
    })
    .join('');
}

function axes(frame: { readonly x: Scale; readonly y: Scale }, unit: string): string {
  const right = FRAME.left + FRAME.width;
  const bottom = FRAME.top + FRAME.height;
  const small = { 'font-size': 11, fill: MUTED };
  const parts = frame.y.ticks.flatMap(({ value, label: text }) => {
    const y = bottom - frame.y.position(value) * FRAME.height;
    return [
      element('line', { x1: FRAME.left, y1: y, x2: right, y2: y, stroke: GRID }),
      label(text, { x: FRAME.left - 7, y: y + 4, 'text-anchor': 'end', ...small }),
    ];
  });
  for (const { value, label: text } of frame.x.ticks) {
    const x = FRAME.left + frame.x.position(value) * FRAME.width;
    parts.push(element('line', { x1: x, y1: bottom, x2: x, y2: bottom + 4, stroke: MUTED }));
    parts.push(label(text, { x, y: bottom + 17, 'text-anchor': 'middle', ...small }));
  }
  parts.push(element('line', { x1: FRAME.left, y1: bottom, x2: right, y2: bottom, stroke: MUTED }));
  const middle = { 'text-anchor': 'middle', 'font-size': 12, fill: MUTED };
  const side = FRAME.top + FRAME.height / 2;
  parts.push(label('positions, H × W', { x: FRAME.left + FRAME.width / 2, y: 308, ...middle }));
  parts.push(label(unit, { x: 15, y: side, transform: `rotate(-90 15 ${side})`, ...middle }));
  return parts.join('');
}
