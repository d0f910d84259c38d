/** Renders text with a packaged font, so that nothing depends on the machine's fonts. */
import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import type { Raster } from './raster.js';

const FONT_FILE = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf');
const FONT_SHARE_OF_WIDTH = 0.15;

/** Black on white, centred, sized so that about ten letters fill the width. */
export function textRaster(text: string, height: number, width: number): Raster {
  const fontSize = Math.max(8, Math.round(width * FONT_SHARE_OF_WIDTH));
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <rect width="${width}" height="${height}" fill="white"/>
    <text x="${width / 2}" y="${height / 2}" font-family="DejaVu Sans" font-size="${fontSize}"
      text-anchor="middle" dominant-baseline="central">${escapeXml(text)}</text></svg>`;
  const { pixels } = new Resvg(svg, {
    font: { fontFiles: [FONT_FILE], loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' },
  }).render();
  return { height, width, rgb: withoutAlpha(pixels, height * width) };
}

function withoutAlpha(rgba: Uint8Array, pixels: number): Uint8Array {
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) rgb.set(rgba.subarray(i * 4, i * 4 + 3), i * 3);
  return rgb;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
