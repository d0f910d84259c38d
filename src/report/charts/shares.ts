/** What makes up a whole: a lying bar a row, each as long as the others, cut into parts. */

import { element, textWidth } from '../markup.js';
import { lineStyle } from './lines.js';
import {
  type ChartSize,
  emptyNote,
  fitted,
  INK,
  LEGEND_ROW_HEIGHT,
  label,
  MUTED,
  renderLegend,
  TITLE_HEIGHT,
} from './parts.js';

export interface ShareRow {
  readonly name: string;
  /** One a part, 0 and more, in any unit. */
  readonly values: readonly number[];
  /** What the whole comes to, in words, at the right. */
  readonly note: string;
}

export interface ShareChart {
  readonly kind: 'shares';
  readonly title: string;
  readonly parts: readonly string[];
  readonly rows: readonly ShareRow[];
}

const SIDE = 16;
const ROW_HEIGHT = 64;
const MAX_NAME_WIDTH = 130;
/** Share from which on there is room for its percentage. */
const LABELLED_SHARE = 0.08;

export function renderShares({ parts, rows }: ShareChart, size: ChartSize): string[] {
  const legend = renderLegend(
    parts.map((name) => ({ name })),
    size.width,
    9,
  );
  const top = TITLE_HEIGHT + legend.rows * LEGEND_ROW_HEIGHT + 16;
  const usable = rows.filter(({ values }) => total(values) > 0);
  if (usable.length === 0) {
    const plot = {
      left: SIDE,
      top,
      width: size.width - 2 * SIDE,
      height: size.height - top - SIDE,
    };
    return [legend.markup, emptyNote(plot)];
  }
  const names = Math.max(...usable.map(({ name }) => textWidth(name, 12)));
  const left = SIDE + Math.min(names, MAX_NAME_WIDTH) + 12;
  const notes = Math.max(...usable.map(({ note }) => textWidth(note, 12)));
  const width = size.width - left - notes - 12 - SIDE;
  const rowHeight = Math.min(ROW_HEIGHT, (size.height - top - SIDE) / usable.length);
  return [
    legend.markup,
    ...usable.map((row, i) => renderRow(row, { left, width, top: top + i * rowHeight, rowHeight })),
  ];
}

function renderRow(
  { name, values, note }: ShareRow,
  place: { left: number; top: number; width: number; rowHeight: number },
): string {
  const { left, top, width, rowHeight } = place;
  const whole = total(values);
  const height = rowHeight * 0.7;
  const base = top + height / 2 + 4;
  let x = left;
  const segments = values.map((value, index) => {
    const share = value / whole;
    const { stroke: fill } = lineStyle(index, undefined);
    const bar = element('rect', { x, y: top, width: share * width, height, fill });
    const at = { x: x + (share * width) / 2, y: base, 'text-anchor': 'middle' };
    x += share * width;
    if (share < LABELLED_SHARE) return bar;
    return bar + label(`${(100 * share).toFixed(0)} %`, { ...at, 'font-size': 12, fill: '#fff' });
  });
  const side = { x: left - 10, y: base, 'text-anchor': 'end', 'font-size': 12, fill: INK };
  const end = { x: left + width + 10, y: base, 'font-size': 12, fill: MUTED };
  return label(fitted(name, 12, MAX_NAME_WIDTH), side) + segments.join('') + label(note, end);
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
