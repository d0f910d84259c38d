/**
 * Cross entropy with the labels at full resolution.
 *
 * N images, h w positions of the logits, H W of the labels, K classes, P = H * W.
 *
 * The logits are upsampled bilinearly, as their network has it; the loss is the mean over labelled pixels
 * of -log softmax at the label.
 */
import { kernels, readScalar, scope, type Tensor, zeros } from '../tensor/index.js';
import type { LabelMaps } from './nearestLabels.js';

export interface TaskCeLoss {
  /** Without a labelled pixel 0, or NaN if asked for. */
  readonly loss: number;
  /** float32 [N, h, w, K], with respect to the logits; zeros without a labelled pixel. */
  readonly gradient_NhwK: Tensor;
}

export interface TaskCeOptions {
  /** Labels of this value don't count. */
  readonly ignoreLabel: number;
  /** See SegmentationNetwork.alignCorners. */
  readonly alignCorners: boolean;
  /** What the loss is without a labelled pixel, 0 unless given; PyTorch gives NaN. */
  readonly allIgnored?: 'zero' | 'nan';
}

/**
 * Throws RangeError on an ignoreLabel that's a class, a label that's neither a class nor ignoreLabel, or on another batch size.
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

/** Labelled pixels of all images; throws on a label that's no class. */
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
