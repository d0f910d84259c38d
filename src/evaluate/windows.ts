/**
 * Positions of the windows in sliding-window evaluation. Windows start every `stride` pixels; the last of a
 * row or column is moved back to end at the border, so that all have one size. An image smaller than a
 * window is a single window of the image's size: nothing is padded.
 */
import type { Pixels } from '../models/normalise.js';

/** Pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

export interface Windows extends Size {
  readonly tops: readonly number[];
  readonly lefts: readonly number[];
}

/** Default stride, as a share of the window's size. */
const USUAL_STRIDE = 2 / 3;

/** Two thirds of the window, rounded up. */
export function usualStride({ height, width }: Size): Size {
  return { height: Math.ceil(height * USUAL_STRIDE), width: Math.ceil(width * USUAL_STRIDE) };
}

export function layWindows(image: Size, window: Size, stride: Size): Windows {
  const height = Math.min(window.height, image.height);
  const width = Math.min(window.width, image.width);
  return {
    height,
    width,
    tops: starts(image.height, height, stride.height),
    lefts: starts(image.width, width, stride.width),
  };
}

/** How many windows cover each position of one axis. A pixel's count is its row's times its column's. */
export function coverage(begins: readonly number[], window: number, length: number): Uint32Array {
  const counts = new Uint32Array(length);
  for (const begin of begins) {
    for (let at = begin; at < begin + window; at++) counts[at]! += 1;
  }
  return counts;
}

/** A copy of one window's pixels. */
export function cutWindow(
  rgb: Pixels,
  imageWidth: number,
  { top, left, height, width }: Size & { readonly top: number; readonly left: number },
): Pixels {
  const cut =
    rgb instanceof Float32Array
      ? new Float32Array(height * width * 3)
      : new Uint8Array(height * width * 3);
  for (let row = 0; row < height; row++) {
    const begin = ((top + row) * imageWidth + left) * 3;
    cut.set(rgb.subarray(begin, begin + width * 3), row * width * 3);
  }
  return cut;
}

function starts(length: number, window: number, stride: number): number[] {
  const count = Math.ceil((length - window) / stride) + 1;
  return Array.from({ length: count }, (_, i) => Math.min(i * stride, length - window));
}
