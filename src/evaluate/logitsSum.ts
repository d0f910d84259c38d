/**
 * Sums the logits of windows and views in one array on the host. H W: size of the sum, K: classes; HWK,
 * row-major.
 */
import type { Size } from './windows.js';

/** Adds a window's logits at the window's position. */
export function addWindow(
  sum_HWK: Float32Array,
  sumWidth: number,
  classes: number,
  window_hwK: Float32Array,
  { top, left, height, width }: Size & { readonly top: number; readonly left: number },
): void {
  const rowLength = width * classes;
  for (let row = 0; row < height; row++) {
    const into = ((top + row) * sumWidth + left) * classes;
    const from = row * rowLength;
    for (let i = 0; i < rowLength; i++) sum_HWK[into + i]! += window_hwK[from + i]!;
  }
}

/** Divides every pixel by the number of windows that cover it. */
export function divideByCoverage(
  sum_HWK: Float32Array,
  classes: number,
  rows_H: Uint32Array,
  columns_W: Uint32Array,
): void {
  let at = 0;
  for (const row of rows_H) {
    for (const column of columns_W) {
      const share = 1 / (row * column);
      for (let k = 0; k < classes; k++) sum_HWK[at++]! *= share;
    }
  }
}

/** Adds `weight` times the logits of a view, mirrored back if the view is mirrored. */
export function addView(
  sum_HWK: Float32Array,
  view_HWK: Float32Array,
  { width, classes }: { readonly width: number; readonly classes: number },
  { weight, mirrored }: { readonly weight: number; readonly mirrored: boolean },
): void {
  if (!mirrored) {
    for (let i = 0; i < sum_HWK.length; i++) sum_HWK[i]! += weight * view_HWK[i]!;
    return;
  }
  const rowLength = width * classes;
  for (let row = 0; row < sum_HWK.length; row += rowLength) {
    for (let column = 0; column < width; column++) {
      const into = row + column * classes;
      const from = row + (width - 1 - column) * classes;
      for (let k = 0; k < classes; k++) sum_HWK[into + k]! += weight * view_HWK[from + k]!;
    }
  }
}
