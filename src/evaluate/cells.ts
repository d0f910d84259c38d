/** Pictures as cells of a report: small enough to embed, and of one size on a sheet. */
import sharp from 'sharp';
import { encodePng, type Raster } from './raster.js';

/** In pixels. A report with full-size street scenes would take hundreds of megabytes. */
const MAX_WIDTH = 640;
const WHITE = 255;

export interface Cell {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export async function encodeCell(raster: Raster): Promise<Cell> {
  return { png: await encodePng(raster), width: raster.width, height: raster.height };
}

/**
 * Shrinks to at most MAX_WIDTH. Class maps keep their exact colours (nearest pixel); photographs are
 * filtered.
 */
export async function shrink(raster: Raster, kind: 'photo' | 'map'): Promise<Raster> {
  const { height, width, rgb } = raster;
  if (width <= MAX_WIDTH) return raster;
  const to = { width: MAX_WIDTH, height: Math.max(1, Math.round((height * MAX_WIDTH) / width)) };
  const data = await sharp(rgb, { raw: { height, width, channels: 3 } })
    .resize({ ...to, fit: 'fill', kernel: kind === 'map' ? 'nearest' : 'lanczos3' })
    .raw()
    .toBuffer();
  return { ...to, rgb: new Uint8Array(data) };
}

/** Adds white on the right and below, up to the given size. */
export function padded(raster: Raster, height: number, width: number): Raster {
  if (raster.height === height && raster.width === width) return raster;
  const rgb = new Uint8Array(height * width * 3).fill(WHITE);
  for (let row = 0; row < raster.height; row++) {
    const line = raster.rgb.subarray(row * raster.width * 3, (row + 1) * raster.width * 3);
    rgb.set(line, row * width * 3);
  }
  return { height, width, rgb };
}
