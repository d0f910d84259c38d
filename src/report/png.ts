/** A report as one picture, drawn with bundled fonts, because a bare machine has none. */
import { createRequire } from 'node:module';
import { renderAsync } from '@resvg/resvg-js';
import sharp from 'sharp';
import { CHART_SIZE } from './charts/render.js';
import { element, label, pngDataUri } from './markup.js';
import { AXIS, FONT, GRID, INK, MUTED } from './palette.js';
import type { ReportData, ReportPictures, ReportTable } from './reportData.js';
import { isNumeric } from './table.js';
import { textWidth } from './textWidth.js';

const PAGE_WIDTH = 1200;
const MARGIN = 36;
const GAP = 20;
const ROW_HEIGHT = 30;
/** Limit for enlarging small pictures. */
const MAX_ENLARGEMENT = 2;
/** Pixels of the file per unit of the page. */
const ZOOM = 1.5;

/** A piece of the page's markup and the y at which the next one may begin. */
interface Block {
  readonly markup: string;
  readonly bottom: number;
}

/** @param charts one svg element of CHART_SIZE per chart of the report */
export async function reportPng(data: ReportData, charts: readonly string[]): Promise<Uint8Array> {
  return svgPng(reportSvg(data, charts));
}

/** An SVG with text in FONT, on white. */
export async function svgPng(svg: string): Promise<Uint8Array> {
  const image = await renderAsync(svg, {
    fitTo: { mode: 'zoom', value: ZOOM },
    background: '#ffffff',
    font: {
      fontFiles: fontFiles(),
      loadSystemFonts: false,
      defaultFontFamily: 'DejaVu Sans',
      sansSerifFamily: 'DejaVu Sans',
    },
  });
  // image.asPng() would block the event loop for a quarter of a second.
  const { width, height } = image;
  return sharp(image.pixels, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .png()
    .toBuffer();
}

/** The page as SVG: title, table, charts with two per row, pictures. */
export function reportSvg(data: ReportData, charts: readonly string[]): string {
  const title = label(data.title, {
    x: MARGIN,
    y: 52,
    'font-size': 24,
    'font-weight': 'bold',
    fill: INK,
  });
  const blocks: ((top: number) => Block)[] = [
    (top) => tableBlock(data.table, top),
    (top) => chartsBlock(charts, top),
  ];
  const { pictures } = data;
  if (pictures !== null) blocks.push((top) => picturesBlock(pictures, top));
  let bottom = data.subtitle === undefined ? 76 : 92;
  let markup = title + subtitle(data.subtitle ?? '');
  for (const block of blocks) {
    const placed = block(bottom);
    markup += placed.markup;
    bottom = placed.bottom;
  }
  const height = Math.ceil(bottom + MARGIN - GAP);
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width: PAGE_WIDTH,
      height,
      viewBox: `0 0 ${PAGE_WIDTH} ${height}`,
      'font-family': FONT,
    },
    markup,
  );
}

function subtitle(text: string): string {
  return label(text, { x: MARGIN, y: 78, 'font-size': 14, fill: MUTED });
}

function tableBlock({ columns, rows }: ReportTable, top: number): Block {
  const parts: string[] = [];
  let x = MARGIN;
  columns.forEach((column, index) => {
    const cells = rows.map((row) => row[index] ?? '');
    const width = Math.max(...[column, ...cells].map((text) => textWidth(text, 15))) + 36;
    const numeric = isNumeric(rows, index);
    const place = numeric ? { x: x + width - 18, 'text-anchor': 'end' } : { x: x + 2 };
    const at = (row: number) => top + row * ROW_HEIGHT + 20;
    parts.push(
      label(column, { ...place, y: at(0), 'font-size': 14, 'font-weight': 'bold', fill: MUTED }),
    );
    cells.forEach((cell, row) => {
      parts.push(label(cell, { ...place, y: at(row + 1), 'font-size': 15, fill: INK }));
    });
    x += width;
  });
  const right = Math.min(x, PAGE_WIDTH - MARGIN);
  for (let row = 0; row <= rows.length; row++) {
    const y = top + (row + 1) * ROW_HEIGHT;
    const stroke = row === 0 ? AXIS : GRID;
    parts.push(element('line', { x1: MARGIN, y1: y, x2: right, y2: y, stroke }));
  }
  return { markup: parts.join(''), bottom: top + (rows.length + 1) * ROW_HEIGHT + GAP };
}

function chartsBlock(charts: readonly string[], top: number): Block {
  const parts = charts.map((chart, index) => {
    const x = MARGIN + (index % 2) * (CHART_SIZE.width + GAP);
    const y = top + Math.floor(index / 2) * (CHART_SIZE.height + GAP);
    const frame = element('rect', { ...CHART_SIZE, rx: 6, fill: 'none', stroke: GRID });
    return element('g', { transform: `translate(${x} ${y})` }, frame + chart);
  });
  const rows = Math.ceil(charts.length / 2);
  return { markup: parts.join(''), bottom: top + rows * (CHART_SIZE.height + GAP) };
}

function picturesBlock({ title, rowLabels, images }: ReportPictures, top: number): Block {
  const gap = 6;
  const columns = Math.max(1, ...images.map((row) => row.length));
  const labels = Math.max(0, ...rowLabels.map((text) => textWidth(text, 14))) + 14;
  const widest = Math.max(1, ...images.flat().map(({ width }) => width));
  const room = (PAGE_WIDTH - 2 * MARGIN - labels - gap * (columns - 1)) / columns;
  const cellWidth = Math.min(room, widest * MAX_ENLARGEMENT);
  let y = top + 36;
  let markup = label(title, {
    x: MARGIN,
    y: top + 20,
    'font-size': 15,
    'font-weight': 'bold',
    fill: INK,
  });
  images.forEach((row, index) => {
    const height = Math.max(0, ...row.map((image) => (cellWidth * image.height) / image.width));
    const side = { x: MARGIN + labels - 14, y: y + height / 2 + 5, 'text-anchor': 'end' };
    markup += label(rowLabels[index] ?? '', { ...side, 'font-size': 14, fill: MUTED });
    row.forEach(({ png }, column) => {
      markup += element('image', {
        x: MARGIN + labels + column * (cellWidth + gap),
        y,
        width: cellWidth,
        height,
        href: pngDataUri(png),
      });
    });
    y += height + gap;
  });
  return { markup, bottom: y + GAP };
}

function fontFiles(): string[] {
  const { resolve } = createRequire(import.meta.url);
  return ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((file) =>
    resolve(`dejavu-fonts-ttf/ttf/${file}`),
  );
}
