/** A network's classes for a whole image. N batch, H W image size, h w network output, K classes. */
import { ops, scope, type Tensor } from '../tensor/index.js';
import type { Raster } from './raster.js';
import { readPredictions } from './segmentationMetric.js';

/** A network together with its normalisation: all that a prediction needs. */
export interface Segmenter {
  readonly classes: number;
  /**
   * Raw logits of one uint8 RGB image, [1, h, w, K] float32, from running statistics and without
   * dropout. The tensor belongs to the caller's scope.
   */
  logits(image: Raster): Tensor;
}

/** Logits at the image's size, [1, H, W, K]: bilinear, corners aligned (golden/README.md, 3). */
export function imageSizeLogits(segmenter: Segmenter, image: Raster): Tensor {
  return scope(() => ops.resizeBilinear(segmenter.logits(image), image.height, image.width));
}

/** The class of every pixel, row-major, [H * W]. At most 255 classes. */
export function predictLabels(segmenter: Segmenter, image: Raster): Uint8Array {
  return scope(() => Uint8Array.from(readPredictions(imageSizeLogits(segmenter, image))));
}
