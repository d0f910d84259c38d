/**
 * Cross entropy with the labels at full resolution.
 *
 * N images, h w positions of the logits, H W positions of the labels, K classes.
 *
 * The logits are upsampled bilinearly, with corners aligned as their network does it; the loss is
 * the mean over labelled pixels of -log softmax at the label, weighted by the pixels' classes if these have weights:
 * sum(w * loss) / sum(w), as in PyTorch. With `ohem`, only the hardest pixels are in the mean.
 */
import { kernels, readScalar, scope, type Tensor, zeros } from '../tensor/index.js';
import { hardPixels, type OhemOptions } from './hardPixels.js';
import type { LabelMaps } from './nearestLabels.js';

export interface TaskCeLoss {
  /** Without a labelled pixel: 0, or NaN with `allIgnored: 'nan'`. */
  readonly loss: number;
  /** What the sum over pixels was divided by: their number, or their classes' weights; 0: no labelled pixel. */
  readonly weight: number;
  /** float32 [N, h, w, K], with respect to the logits; zeros without a labelled pixel. */
  readonly gradient_NhwK: Tensor;
}

export interface TaskCeOptions {
  /** Pixels with this label are left out. */
  readonly ignoreLabel: number;
  /** See SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  /** The loss without a labelled pixel, or if all of them have weight 0. Default: zero. PyTorch's is NaN. */
  readonly allIgnored?: 'zero' | 'nan';
  /** One per class, at least 0; null or absent: 1 each. */
  readonly classWeights?: readonly number[] | null | undefined;
  /** null or absent: all pixels. */
  readonly ohem?: OhemOptions | null | undefined;
}

/**
 * Throws RangeError if ignoreLabel is a class number, if a label is neither a class number nor
 * ignoreLabel, if logits and labels have different batch sizes, or there isn't one weight per class.
 */
export function taskCe(logits_NhwK: Tensor, labels: LabelMaps, options: TaskCeOptions): TaskCeLoss {
  const { ignoreLabel, alignCorners, allIgnored = 'zero', ohem = null } = options;
  const [images = 0, , , classes = 0] = logits_NhwK.shape;
  if (labels.images !== images) {
    throw new RangeError(`labels: ${labels.images} images, the logits have ${images}`);
  }
  if (ignoreLabel < classes) {
    throw new RangeError(`ignoreLabel: ${ignoreLabel} given, which is one of ${classes} classes`);
  }
  const weights = weightsOf(options, classes);
  checkLabels(labels, classes, ignoreLabel);
  const chosen = ohem === null ? labels : hardPixels(logits_NhwK, labels, { ...options, ...ohem });
  const total = totalWeight(chosen, weights, ignoreLabel);
  if (total === 0) {
    const loss = allIgnored === 'nan' ? Number.NaN : 0;
    return { loss, weight: 0, gradient_NhwK: zeros(logits_NhwK.shape) };
  }
  return scope(() => {
    const { lossSum_1, gradient_NhwK } = kernels().pixelCrossEntropy(logits_NhwK, chosen, {
      scale: 1 / total,
      alignCorners,
      classWeights: weights,
    });
    return { loss: readScalar(lossSum_1) / total, weight: total, gradient_NhwK };
  });
}

function weightsOf({ classWeights }: TaskCeOptions, classes: number): Float32Array | undefined {
  if (classWeights === undefined || classWeights === null) return undefined;
  if (classWeights.length !== classes) {
    throw new RangeError(`classWeights: ${classWeights.length} given, wanted ${classes}`);
  }
  return Float32Array.from(classWeights);
}

/** Throws on a label that isn't a class number. */
function checkLabels({ data }: LabelMaps, classes: number, ignoreLabel: number): void {
  for (let i = 0; i < data.length; i++) {
    const label = data[i]!;
    if (label !== ignoreLabel && label >= classes) {
      throw new RangeError(
        `labels: ${label} given at ${i}, wanted 0 to ${classes - 1} or ${ignoreLabel}`,
      );
    }
  }
}

/** Of the labelled pixels in all images: their number, or the sum of their classes' weights. */
function totalWeight(
  { data }: LabelMaps,
  weights: Float32Array | undefined,
  ignoreLabel: number,
): number {
  let total = 0;
  for (let i = 0; i < data.length; i++) {
    const label = data[i]!;
    if (label !== ignoreLabel) total += weights === undefined ? 1 : weights[label]!;
  }
  return total;
}
