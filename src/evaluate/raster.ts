/** 8-bit RGB pictures in memory: colouring, blending, tiling, PNG encoding. */
import sharp from 'sharp';
import type { LabelArray } from './confusion.js';

/** uint8 HWC, R G B. */
export interface Raster {
  readonly height: number;
  readonly width: number;
  readonly rgb: Uint8Array;
}

export type Palette = readonly (readonly [number, number, number])[];

/** One class number per pixel, row-major. */
export interface LabelMap {
  readonly height: number;
  readonly width: number;
  readonly labels: LabelArray;
}

const GAP_PIXELS = 4;
const WHITE = 255;

/** Colours each class; pixels without a class (ignored ones) become black. */
export function colourLabels({ height, width, labels }: LabelMap, palette: Palette): Raster {
  const rgb = new Uint8Array(height * width * 3);
  for (let i = 0; i < labels.length; i++) {
    const colour = palette[labels[i]!];
    if (colour !== undefined) rgb.set(colour, i * 3);
  }
  return { height, width, rgb };
}

/** Blends `top` over `base` with opacity `share`; both have the same size. */
export function blend(base: Raster, top: Raster, share: number): Raster {
  checkSize('top', top, base);
  const rgb = new Uint8Array(base.rgb.length);
  for (let i = 0; i < rgb.length; i++) {
    rgb[i] = Math.round(base.rgb[i]! * (1 - share) + top.rgb[i]! * share);
  }
  return { height: base.height, width: base.width, rgb };
}

/** Places rasters of one height from left to right, with white gaps. */
export function beside(rasters: readonly Raster[]): Raster {
  const height = rasters[0]?.height ?? 0;
  const width = lengthWithGaps(rasters.map((raster) => raster.width));
  const result = whiteRaster(height, width);
  let left = 0;
  for (const raster of rasters) {
    checkSize('height', raster, { height, width: raster.width });
    for (let row = 0; row < height; row++) {
      const line = raster.rgb.subarray(row * raster.width * 3, (row + 1) * raster.width * 3);
      result.rgb.set(line, (row * width + left) * 3);
    }
    left += raster.width + GAP_PIXELS;
  }
  return result;
}

/** Places rasters of one width from top to bottom, with white gaps. */
export function above(rasters: readonly Raster[]): Raster {
  const width = rasters[0]?.width ?? 0;
  const height = lengthWithGaps(rasters.map((raster) => raster.height));
  const result = whiteRaster(height, width);
  let top = 0;
  for (const raster of rasters) {
    checkSize('width', raster, { height: raster.height, width });
    result.rgb.set(raster.rgb, top * width * 3);
    top += raster.height + GAP_PIXELS;
  }
  return result;
}

export async function encodePng({ height, width, rgb }: Raster): Promise<Uint8Array> {
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** Encodes raw class numbers as 8-bit grey: for programs, not for viewing. */
export async function encodeGreyPng({ height, width, labels }: LabelMap): Promise<Uint8Array> {
  return sharp(Uint8Array.from(labels), { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png({ compressionLevel: 9 })
    .toBuffer();
}

function whiteRaster(height: number, width: number): Raster {
  return { height, width, rgb: new Uint8Array(height * width * 3).fill(WHITE) };
}

function lengthWithGaps(lengths: readonly number[]): number {
  const pixels = lengths.reduce((total, length) => total + length, 0);
  return pixels + Math.max(0, lengths.length - 1) * GAP_PIXELS;
}

function checkSize(
  what: string,
  given: { height: number; width: number },
  wanted: { height: number; width: number },
): void {
  if (given.height !== wanted.height || given.width !== wanted.width) {
    throw new RangeError(
      `${what}: ${given.height}×${given.width} given, wanted ${wanted.height}×${wanted.width}`,
    );
  }
}
