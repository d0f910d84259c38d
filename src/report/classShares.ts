/** One picture of how often each class is in a dataset, or in several. */
import { element, label } from './markup.js';
import { FONT, GRID, INK, MUTED } from './palette.js';
import { textWidth } from './textWidth.js';

export interface ClassShares {
  readonly title: string;
  readonly subtitle: string;
  readonly classes: readonly {
    readonly name: string;
    /** #rrggbb */
    readonly color: string;
    /** Of the labelled pixels, one per dataset; null: the dataset couldn't be read. */
    readonly shares: readonly (number | null)[];
  }[];
  /** Names of the datasets, in the order of `shares`. */
  readonly datasets: readonly string[];
}

const MARGIN = 24;
const BAR_WIDTH = 520;
const BAR_HEIGHT = 12;
const ROW_GAP = 6;
const TOP = 92;
const NAME_SIZE = 12;
/** Room for "100.00 %". */
const FIGURE_WIDTH = 70;
/** Later datasets of a class are paler. */
const OPACITIES = [1, 0.55, 0.3] as const;

/** An SVG with one row per class and, in it, one bar per dataset; the longest bar fills the width. */
export function classSharesSvg({ title, subtitle, classes, datasets }: ClassShares): string {
  const nameWidth = Math.max(60, ...classes.map(({ name }) => textWidth(name, NAME_SIZE)));
  const left = MARGIN + nameWidth + 12;
  const rowHeight = BAR_HEIGHT * datasets.length + ROW_GAP;
  const largest = Math.max(0, ...classes.flatMap(({ shares }) => shares.map((one) => one ?? 0)));
  const scale = largest === 0 ? 0 : BAR_WIDTH / largest;
  const width = Math.ceil(left + BAR_WIDTH + FIGURE_WIDTH + MARGIN);
  const height = TOP + rowHeight * classes.length + MARGIN;
  const rows = classes.map(({ name, color, shares }, row) => {
    const top = TOP + row * rowHeight;
    const middle = top + (BAR_HEIGHT * datasets.length) / 2 + 4;
    const at = { x: left - 8, y: middle, 'text-anchor': 'end', 'font-size': NAME_SIZE };
    const bars = shares.map((share, k) => bar(share, { left, top: top + k * BAR_HEIGHT, k }));
    return label(name, { ...at, fill: INK }) + bars.join('');

    function bar(value: number | null, place: { left: number; top: number; k: number }): string {
      const length = (value ?? 0) * scale;
      const figure = value === null ? '–' : value === 0 ? 'none' : percent(value);
      const rect = { x: place.left, y: place.top, width: Math.max(length, 0.5) };
      const opacity = OPACITIES[Math.min(place.k, OPACITIES.length - 1)]!;
      const look = { height: BAR_HEIGHT - 2, fill: color, opacity, stroke: GRID };
      const text = { x: place.left + length + 6, y: place.top + BAR_HEIGHT - 3, 'font-size': 10 };
      return element('rect', { ...rect, ...look }) + label(figure, { ...text, fill: MUTED });
    }
  });
  const legend = datasets.length < 2 ? '' : ` From top to bottom: ${datasets.join(', ')}.`;
  const head =
    label(title, { x: MARGIN, y: 36, 'font-size': 18, 'font-weight': 'bold', fill: INK }) +
    label(`${subtitle}${legend}`, { x: MARGIN, y: 60, 'font-size': 12, fill: MUTED });
  return element(
    'svg',
    {
      ...{ xmlns: 'http://www.w3.org/2000/svg', width, height },
      ...{ viewBox: `0 0 ${width} ${height}`, 'font-family': FONT },
    },
    element('rect', { x: 0, y: 0, width, height, fill: '#ffffff' }) + head + rows.join(''),
  );
}

function percent(share: number): string {
  const value = 100 * share;
  return value < 0.01 ? '< 0.01 %' : `${value.toFixed(2)} %`;
}
