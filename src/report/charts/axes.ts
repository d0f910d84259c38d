/** The axes of a plot, with ticks and a muted grid. */

import { element } from '../markup.js';
import { AXIS, GRID, label, MUTED, type Plot } from './parts.js';
import type { Scale } from './scale.js';

const SMALL = { 'font-size': 11, fill: MUTED };
const MIDDLE = { 'text-anchor': 'middle', 'font-size': 12, fill: MUTED };

/** Grid lines and numbers at the left, the axis' name beside them, the line below. */
export function renderYAxis(name: string, { left, top, width, height }: Plot, y: Scale): string {
  const bottom = top + height;
  const right = left + width;
  const parts = y.ticks.map((tick) => {
    const at = bottom - y.position(tick.value) * height;
    return (
      element('line', { x1: left, y1: at, x2: right, y2: at, stroke: GRID }) +
      label(tick.label, { x: left - 7, y: at + 4, 'text-anchor': 'end', ...SMALL })
    );
  });
  parts.push(element('line', { x1: left, y1: bottom, x2: right, y2: bottom, stroke: AXIS }));
  const side = top + height / 2;
  parts.push(label(name, { x: 15, y: side, transform: `rotate(-90 15 ${side})`, ...MIDDLE }));
  return parts.join('');
}

/** Ticks and numbers below the plot, the axis' name at `nameY`. */
export function renderXAxis(name: string, plot: Plot, x: Scale, nameY: number): string {
  const { left, top, width, height } = plot;
  const bottom = top + height;
  const parts = x.ticks.map((tick) => {
    const at = left + x.position(tick.value) * width;
    return (
      element('line', { x1: at, y1: bottom, x2: at, y2: bottom + 4, stroke: AXIS }) +
      label(tick.label, { x: at, y: bottom + 17, 'text-anchor': 'middle', ...SMALL })
    );
  });
  parts.push(label(name, { x: left + width / 2, y: nameY, ...MIDDLE }));
  return parts.join('');
}
