/** A line chart as SVG: axes with round ticks, a muted grid, a legend, colour-blind-safe lines. */
import type { ChartSeries, Frame } from './chartLines.js';
import { lineStyle, renderLine, usablePoints } from './chartLines.js';
import { linearScale, logScale } from './chartScale.js';
import { element, escapeText, textWidth } from './markup.js';

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly ChartSeries[];
  /** Logarithmic y axis; values of 0 and below leave gaps. */
  readonly logY?: boolean;
  /** Draws the running mean over so many points, and the points themselves faintly behind. */
  readonly smoothing?: number;
}

export const FONT = "'DejaVu Sans', system-ui, sans-serif";
export const INK = '#1f2933';
export const MUTED = '#5f6b7a';
const GRID = '#e4e8ed';
const AXIS = '#b6bec8';

const TITLE_HEIGHT = 30;
const LEGEND_ROW_HEIGHT = 18;
const MARGIN = { left: 62, right: 18, bottom: 46 };

/** An svg element of that size; it can stand in HTML or inside another svg (with x and y). */
export function renderChart(
  chart: Chart,
  size: { readonly width: number; readonly height: number },
  place: { readonly x: number; readonly y: number } = { x: 0, y: 0 },
): string {
  const legend = renderLegend(chart.series, size.width);
  const top = TITLE_HEIGHT + legend.rows * LEGEND_ROW_HEIGHT + 8;
  const usable = chart.series.map((series) => usablePoints(series, chart.logY === true));
  const xs = usable.flat().map(([x]) => x);
  const ys = usable.flat().map(([, y]) => y);
  const width = size.width - MARGIN.left - MARGIN.right;
  const height = size.height - top - MARGIN.bottom;
  const frame: Frame = {
    left: MARGIN.left,
    top,
    width,
    height,
    x: linearScale(xs, Math.max(2, Math.floor(width / 90)), 0),
    y:
      chart.logY === true
        ? logScale(ys)
        : linearScale(ys, Math.max(2, Math.floor(height / 45)), 0.05),
  };
  const lines = chart.series.map((series, index) => renderLine(series, index, frame, chart));
  const empty = xs.some(Number.isFinite) ? '' : emptyNote(frame);
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      ...place,
      ...size,
      viewBox: `0 0 ${size.width} ${size.height}`,
      'font-family': FONT,
      role: 'img',
    },
    `<title>${escapeText(chart.title)}</title>` +
      label(chart.title, { x: 14, y: 21, 'font-size': 15, 'font-weight': 'bold', fill: INK }) +
      legend.markup +
      renderAxes(chart, frame, size.height) +
      lines.join('') +
      empty,
  );
}

export function label(text: string, values: Readonly<Record<string, string | number>>): string {
  return element('text', values, escapeText(text));
}

function renderLegend(
  series: readonly ChartSeries[],
  width: number,
): { markup: string; rows: number } {
  let x = 14;
  let row = 0;
  const parts = series.map(({ name, color }, index) => {
    const entryWidth = 26 + textWidth(name, 12) + 16;
    if (x > 14 && x + entryWidth > width) {
      x = 14;
      row += 1;
    }
    const y = TITLE_HEIGHT + row * LEGEND_ROW_HEIGHT + 8;
    const key = element('line', {
      x1: x,
      y1: y,
      x2: x + 20,
      y2: y,
      'stroke-width': 2.5,
      ...lineStyle(index, color),
    });
    const name_ = label(name, { x: x + 26, y: y + 4, 'font-size': 12, fill: INK });
    x += entryWidth;
    return key + name_;
  });
  return { markup: parts.join(''), rows: series.length === 0 ? 0 : row + 1 };
}

function renderAxes(chart: Chart, frame: Frame, height: number): string {
  const { left, top, x, y } = frame;
  const bottom = top + frame.height;
  const right = left + frame.width;
  const small = { 'font-size': 11, fill: MUTED };
  const parts: string[] = [];
  for (const tick of y.ticks) {
    const at = bottom - y.position(tick.value) * frame.height;
    parts.push(element('line', { x1: left, y1: at, x2: right, y2: at, stroke: GRID }));
    parts.push(label(tick.label, { x: left - 7, y: at + 4, 'text-anchor': 'end', ...small }));
  }
  for (const tick of x.ticks) {
    const at = left + x.position(tick.value) * frame.width;
    parts.push(element('line', { x1: at, y1: bottom, x2: at, y2: bottom + 4, stroke: AXIS }));
    parts.push(label(tick.label, { x: at, y: bottom + 17, 'text-anchor': 'middle', ...small }));
  }
  parts.push(element('line', { x1: left, y1: bottom, x2: right, y2: bottom, stroke: AXIS }));
  const middle = { 'text-anchor': 'middle', 'font-size': 12, fill: MUTED };
  parts.push(label(chart.xLabel, { x: left + frame.width / 2, y: height - 9, ...middle }));
  const side = top + frame.height / 2;
  parts.push(
    label(chart.yLabel, { x: 15, y: side, transform: `rotate(-90 15 ${side})`, ...middle }),
  );
  return parts.join('');
}

function emptyNote(frame: Frame): string {
  return label('no values', {
    x: frame.left + frame.width / 2,
    y: frame.top + frame.height / 2,
    'text-anchor': 'middle',
    'font-size': 13,
    fill: MUTED,
  });
}
