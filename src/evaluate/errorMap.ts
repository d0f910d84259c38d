/** Shows where a prediction is wrong. */
import { IGNORE_LABEL, type Sample } from '../data/types.js';
import type { LabelArray } from './confusion.js';
import type { Raster } from './raster.js';

export const RIGHT = [255, 255, 255] as const;
export const WRONG = [214, 39, 40] as const;
export const IGNORED = [150, 150, 150] as const;

/** White where the prediction equals the label, red where it doesn't, grey where the label is ignored. */
export function errorMap(
  { height, width, labels }: Pick<Sample, 'height' | 'width' | 'labels'>,
  prediction: LabelArray,
): Raster {
  if (prediction.length !== labels.length) {
    throw new RangeError(`prediction: ${prediction.length} pixels given, wanted ${labels.length}`);
  }
  const rgb = new Uint8Array(height * width * 3);
  labels.forEach((label, pixel) => {
    const right = prediction[pixel] === label ? RIGHT : WRONG;
    rgb.set(label === IGNORE_LABEL ? IGNORED : right, pixel * 3);
  });
  return { height, width, rgb };
}
