/** Bars in groups: a group a class, a bar a run. */

import { element } from '../markup.js';
import { renderYAxis } from './axes.js';
import { lineStyle } from './lines.js';
import {
  type ChartSize,
  emptyNote,
  fitted,
  INK,
  LEGEND_ROW_HEIGHT,
  label,
  MUTED,
  type Plot,
  renderLegend,
  TITLE_HEIGHT,
} from './parts.js';
import { linearScale, type Scale } from './scale.js';

export interface BarSeries {
  readonly name: string;
  /** One a category, 0 and more; null: no bar. */
  readonly values: readonly (number | null)[];
}

export interface BarChart {
  readonly kind: 'bars';
  readonly title: string;
  readonly yLabel: string;
  readonly categories: readonly string[];
  readonly series: readonly BarSeries[];
}

const MARGIN = { left: 62, right: 18, bottom: 74 };
/** Share of a group's width that stays empty. */
const GROUP_GAP = 0.22;
/** Pixels that a name below a group needs, and a number above a bar. */
const NAME_SPACE = 15;
const NUMBER_SPACE = 17;

export function renderBars(chart: BarChart, size: ChartSize): string[] {
  const { categories, series } = chart;
  const isAlone = series.length === 1;
  const legend = isAlone ? { markup: '', rows: 0 } : renderLegend(series, size.width, 9);
  const top = TITLE_HEIGHT + legend.rows * LEGEND_ROW_HEIGHT + 14;
  const plot: Plot = {
    left: MARGIN.left,
    top,
    width: size.width - MARGIN.left - MARGIN.right,
    height: size.height - top - MARGIN.bottom,
  };
  const values = series.flatMap((one) => one.values).filter((value) => value !== null);
  const y = linearScale([0, ...values], Math.max(2, Math.floor(plot.height / 45)), 0.05);
  const groupWidth = plot.width / Math.max(1, categories.length);
  const every = Math.max(1, Math.ceil(NAME_SPACE / groupWidth));
  return [
    legend.markup,
    renderYAxis(chart.yLabel, plot, y),
    ...categories.map((name, i) => (i % every === 0 ? groupName(name, i, groupWidth, plot) : '')),
    ...series.map((one, index) => renderSeries(one, index, series.length, { plot, y, groupWidth })),
    values.length === 0 ? emptyNote(plot) : '',
  ];
}

interface Frame {
  readonly plot: Plot;
  readonly y: Scale;
  readonly groupWidth: number;
}

function renderSeries(
  { values }: BarSeries,
  index: number,
  seriesCount: number,
  { plot, y, groupWidth }: Frame,
): string {
  const width = (groupWidth * (1 - GROUP_GAP)) / seriesCount;
  const { stroke: fill } = lineStyle(index, undefined);
  const bottom = plot.top + plot.height;
  return values
    .map((value, group) => {
      if (value === null || !Number.isFinite(value)) return '';
      const height = y.position(value) * plot.height;
      const x = plot.left + groupWidth * (group + GROUP_GAP / 2) + index * width;
      const bar = element('rect', { x, y: bottom - height, width: width * 0.96, height, fill });
      if (width < NUMBER_SPACE) return bar;
      const place = { x: x + width / 2, y: bottom - height - 4, 'text-anchor': 'middle' };
      return bar + label(value.toFixed(0), { ...place, 'font-size': 10, fill: MUTED });
    })
    .join('');
}

function groupName(name: string, group: number, groupWidth: number, plot: Plot): string {
  const x = plot.left + groupWidth * (group + 0.5) + 4;
  const y = plot.top + plot.height + 13;
  return label(fitted(name, 11, 80), {
    x,
    y,
    'text-anchor': 'end',
    'font-size': 11,
    fill: INK,
    transform: `rotate(-38 ${Math.round(x)} ${Math.round(y)})`,
  });
}
