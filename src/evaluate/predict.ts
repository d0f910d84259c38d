/** Predicts classes for a whole image. N batch, H W image size, h w network output, K classes. */
import type { PixelImages } from '../models/normalise.js';
import { ops, scope, type Tensor } from '../tensor/index.js';
import { requireFiniteLogits } from './finiteLogits.js';
import type { Raster } from './raster.js';
import { readPredictions } from './segmentationMetric.js';

/** A network with its normalisation: everything needed for a prediction. */
export interface Segmenter {
  readonly classes: number;
  /** How its logits are resized; see SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  /**
   * Raw logits of images of one size, [N, h, w, K] float32, computed with running statistics and without
   * dropout. The tensor belongs to the caller's scope.
   */
  logits(images: PixelImages): Tensor;
}

/** A Segmenter that may run elsewhere. The caller owns its tensors and must dispose of them. */
export interface RemoteSegmenter {
  readonly classes: number;
  /** See Segmenter. */
  readonly alignCorners: boolean;
  logits(images: PixelImages): Tensor | Promise<Tensor>;
}

/** The class of every pixel, row-major, [H * W]. At most 255 classes. Throws NonFiniteLogitsError. */
export function predictLabels(segmenter: Segmenter, { height, width, rgb }: Raster): Uint8Array {
  return scope(() => {
    const logits_1hwK = segmenter.logits({ height, width, rgb: [rgb] });
    requireFiniteLogits(logits_1hwK);
    const logits_1HWK = ops.resizeBilinear(logits_1hwK, height, width, segmenter.alignCorners);
    return Uint8Array.from(readPredictions(logits_1HWK));
  });
}
