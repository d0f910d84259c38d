/**
 * An image as it is shown to a network several times: at other scales, mirrored, in windows.
 *
 * Combined as the official test script does (winycg/CIRKD, test.py): the image is scaled bilinearly with
 * corners aligned; the logits of each view come to the label's size (bilinear, corners aligned unless the
 * network has it otherwise) and are averaged, raw, over mirror and scales. That script has no windows; over
 * windows logits are averaged too, at the size of the view.
 */
import type { Pixels } from '../models/normalise.js';
import { float32, ops, readFloat32, scope, uint8 } from '../tensor/index.js';
import type { Raster } from './raster.js';
import type { Size } from './windows.js';

export interface WindowOptions {
  readonly size: Size;
  readonly stride: Size;
  /** Windows that go through the network at once; only so many are in memory. */
  readonly batch: number;
}

export interface Views {
  /** Factors on height and width, each above 0; at least one. */
  readonly scales: readonly number[];
  /** Also show each scale mirrored, left to right. */
  readonly flip: boolean;
  /** null: whole images. */
  readonly window: WindowOptions | null;
}

/** The image as it is, once. */
export const PLAIN_VIEW: Views = { scales: [1], flip: false, window: null };

export interface View extends Size {
  readonly rgb: Pixels;
  readonly mirrored: boolean;
}

/** One after the other, so that one view at a time is in memory. */
export function* viewsOf(image: Raster, { scales, flip }: Views): Generator<View> {
  for (const mirrored of flip ? [false, true] : [false]) {
    const rgb = mirrored ? mirrorPixels(image) : image.rgb;
    for (const scale of scales) yield { ...scaled({ ...image, rgb }, scale), mirrored };
  }
}

/** Views in all: what each one's logits are divided by. */
export function viewCount({ scales, flip }: Views): number {
  return scales.length * (flip ? 2 : 1);
}

/** Left and right exchanged. */
export function mirrorPixels({ height, width, rgb }: Raster): Uint8Array {
  const mirrored = new Uint8Array(rgb.length);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const column = pixel % width;
    const from = (pixel - column + width - 1 - column) * 3;
    mirrored.set(rgb.subarray(from, from + 3), pixel * 3);
  }
  return mirrored;
}

/** Bilinear with aligned corners to floor(size * scale) pixels, not rounded to bytes. */
function scaled({ height, width, rgb }: Raster, scale: number): Size & { readonly rgb: Pixels } {
  if (scale === 1) return { height, width, rgb };
  const to = {
    height: Math.max(1, Math.floor(height * scale)),
    width: Math.max(1, Math.floor(width * scale)),
  };
  return {
    ...to,
    rgb: scope(() => {
      const image_NHWC = ops.cast(uint8(rgb, [1, height, width, 3]), 'float32');
      return readFloat32(ops.resizeBilinear(image_NHWC, to.height, to.width, true));
    }),
  };
}

/** Host logits [H * W * K] resized, bilinear. */
export function resizeLogits(
  logits: Float32Array,
  from: Size,
  to: Size,
  { classes, alignCorners }: { readonly classes: number; readonly alignCorners: boolean },
): Float32Array {
  if (from.height === to.height && from.width === to.width) return logits;
  return scope(() => {
    const logits_NHWK = float32(logits, [1, from.height, from.width, classes]);
    return readFloat32(ops.resizeBilinear(logits_NHWK, to.height, to.width, alignCorners));
  });
}
