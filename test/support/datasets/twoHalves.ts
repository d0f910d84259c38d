/** A sample whose picture is plain to see. */
import type { Sample } from '../../../src/data/types.js';
import { colourLabels, type Palette } from '../../../src/evaluate/raster.js';

export const PALETTE: Palette = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
];

/** 4×8: left half of class `left`, right half of class `right`. */
export function twoHalves(left: number, right: number): Sample {
  const labels = Uint8Array.from({ length: 32 }, (_, i) => (i % 8 < 4 ? left : right));
  return {
    height: 4,
    width: 8,
    rgb: colourLabels({ height: 4, width: 8, labels }, PALETTE).rgb,
    labels,
  };
}
