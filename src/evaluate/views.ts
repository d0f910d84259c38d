/**
 * The views of an image for multi-scale evaluation: scaled, mirrored, in windows.
 *
 * Combined as in the official test script (winycg/CIRKD, test.py): the image is scaled bilinearly with
 * aligned corners; the raw logits of each view are resized to the label's size (bilinear, with the network's
 * alignCorners) and averaged over mirroring and scales. That script has no windows; logits of windows are
 * averaged, too, at the view's size.
 */
import type { Pixels } from '../models/normalise.js';
import { float32, ops, readFloat32, scope, uint8 } from '../tensor/index.js';
import type { Raster } from './raster.js';
import type { Size } from './windows.js';

export interface WindowOptions {
  readonly size: Size;
  readonly stride: Size;
  /** Windows per batch; no more are in memory at once. */
  readonly batch: number;
}

export interface Views {
  /** Factors on height and width, each above 0; at least one. */
  readonly scales: readonly number[];
  /** Also evaluate each scale mirrored left to right. */
  readonly flip: boolean;
  /** null: whole images. */
  readonly window: WindowOptions | null;
}

/** The unchanged image, once. */
export const PLAIN_VIEW: Views = { scales: [1], flip: false, window: null };

export interface View extends Size {
  readonly rgb: Pixels;
  readonly mirrored: boolean;
}

/** Yields the views one by one, so that only one is in memory. */
export function* viewsOf(image: Raster, { scales, flip }: Views): Generator<View> {
  for (const mirrored of flip ? [false, true] : [false]) {
    const rgb = mirrored ? mirrorPixels(image) : image.rgb;
    for (const scale of scales) yield { ...scaled({ ...image, rgb }, scale), mirrored };
  }
}

/** The number of views, by which the sum of their logits is divided. */
export function viewCount({ scales, flip }: Views): number {
  return scales.length * (flip ? 2 : 1);
}

/** Mirrors left to right. */
export function mirrorPixels({ height, width, rgb }: Raster): Uint8Array {
  const mirrored = new Uint8Array(rgb.length);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const column = pixel % width;
    const from = (pixel - column + width - 1 - column) * 3;
    mirrored.set(rgb.subarray(from, from + 3), pixel * 3);
  }
  return mirrored;
}

/** Scales bilinearly with aligned corners to floor(size * scale) pixels, without rounding to bytes. */
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

/** Resizes host logits [H * W * K] bilinearly. */
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
