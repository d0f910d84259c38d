/**
 * Cross entropy with the labels at full resolution.
 *
 * N images, h w positions of the logits, H W positions of the labels, K classes.
 *
 * The logits are upsampled bilinearly, with corners aligned as their network does it; the loss is
 * the mean over labelled pixels of -log softmax at the label.
 */
import { kernels, readScalar, scope, type Tensor, zeros } from '../tensor/index.js';
import type { LabelMaps } from './nearestLabels.js';

export interface TaskCeLoss {
  /** Without a labelled pixel: 0, or NaN with `allIgnored: 'nan'`. */
  readonly loss: number;
  /** float32 [N, h, w, K], with respect to the logits; zeros without a labelled pixel. */
  readonly gradient_NhwK: Tensor;
}

export interface TaskCeOptions {
  /** Pixels with this label are left out. */
  readonly ignoreLabel: number;
  /** See SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  /** The loss without a labelled pixel. Default: zero. PyTorch's is NaN. */
  readonly allIgnored?: 'zero' | 'nan';
}

/**
 * Throws RangeError if ignoreLabel is a class number, if a label is neither a class number nor
 * ignoreLabel, or if logits and labels have different batch sizes.
 */
export function taskCe(
  logits_NhwK: Tensor,
  labels: LabelMaps,
  { ignoreLabel, alignCorners, allIgnored = 'zero' }: TaskCeOptions,
): TaskCeLoss {
  const [images = 0, , , classes = 0] = logits_NhwK.shape;
  if (labels.images !== images) {
    throw new RangeError(`labels: ${labels.images} images, the logits have ${images}`);
  }
  if (ignoreLabel < classes) {
    throw new RangeError(`ignoreLabel: ${ignoreLabel} given, which is one of ${classes} classes`);
  }
  const labelled = countLabelled(labels, classes, ignoreLabel);
  if (labelled === 0) {
    const loss = allIgnored === 'nan' ? Number.NaN : 0;
    return { loss, gradient_NhwK: zeros(logits_NhwK.shape) };
  }
  return scope(() => {
    const { lossSum_1, gradient_NhwK } = kernels().pixelCrossEntropy(logits_NhwK, labels, {
      scale: 1 / labelled,
      alignCorners,
    });
    return { loss: readScalar(lossSum_1) / labelled, gradient_NhwK };
  });
}

/** Number of labelled pixels in all images; throws on a label that isn't a class number. */
function countLabelled({ data }: LabelMaps, classes: number, ignoreLabel: number): number {
  let labelled = 0;
  for (let i = 0; i < data.length; i++) {
    const label = data[i]!;
    if (label === ignoreLabel) continue;
    if (label >= classes) {
      throw new RangeError(
        `labels: ${label} given at ${i}, wanted 0 to ${classes - 1} or ${ignoreLabel}`,
      );
    }
    labelled += 1;
  }
  return labelled;
}
