/** What every chart has: colours, words, a title, a legend, the frame around it. */

import { element, escapeText, textWidth } from '../markup.js';
import { lineStyle } from './lines.js';

export const FONT = "'DejaVu Sans', system-ui, sans-serif";
export const INK = '#1f2933';
export const MUTED = '#5f6b7a';
export const GRID = '#e4e8ed';
export const AXIS = '#b6bec8';

/** Pixels from the top to the first row of the legend. */
export const TITLE_HEIGHT = 30;
export const LEGEND_ROW_HEIGHT = 18;

/** Pixels. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

/** Where it stands in another svg. */
export interface ChartPlace {
  readonly x: number;
  readonly y: number;
}

/** One svg element with the chart's title and what is drawn in it. */
export function chartSvg(
  title: string,
  size: ChartSize,
  place: ChartPlace,
  content: readonly string[],
): string {
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
    `<title>${escapeText(title)}</title>` +
      label(title, { x: 14, y: 21, 'font-size': 15, 'font-weight': 'bold', fill: INK }) +
      content.join(''),
  );
}

export function label(text: string, values: Readonly<Record<string, string | number>>): string {
  return element('text', values, escapeText(text));
}

/** A key and a name each, in as many rows as they need. */
export function renderLegend(
  series: readonly { readonly name: string; readonly color?: string }[],
  width: number,
  keyWidth = 2.5,
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
      'stroke-width': keyWidth,
      ...lineStyle(index, color),
    });
    const name_ = label(name, { x: x + 26, y: y + 4, 'font-size': 12, fill: INK });
    x += entryWidth;
    return key + name_;
  });
  return { markup: parts.join(''), rows: series.length === 0 ? 0 : row + 1 };
}

export function emptyNote({ left, top, width, height }: Plot): string {
  return label('no values', {
    x: left + width / 2,
    y: top + height / 2,
    'text-anchor': 'middle',
    'font-size': 13,
    fill: MUTED,
  });
}

/** Where the plot lies, in pixels. */
export interface Plot {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** As much of a text as fits, with dots where something is missing. */
export function fitted(text: string, fontSize: number, width: number): string {
  if (textWidth(text, fontSize) <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && textWidth(`${letters.join('')}…`, fontSize) > width) letters.pop();
  return `${letters.join('')}…`;
}
