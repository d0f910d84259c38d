/**
 * Cross entropy with the labels at full resolution.
 *
 * N images, h w positions of the logits, H W of the labels, K classes, P = H * W.
 *
 * The logits are upsampled bilinearly with aligned corners; the loss is the mean over labelled
 * pixels of -log softmax at the label. One image at a time, so that full resolution is alive for
 * one image only.
 */
import { float32, int32, ops, readFloat32, scope, type Tensor, zeros } from '../tensor/index.js';
import type { LabelMaps } from './nearestLabels.js';

export interface TaskCeLoss {
  /** Without a labelled pixel 0, or NaN if asked for. */
  readonly loss: number;
  /** float32 [N, h, w, K], with respect to the logits; zeros without a labelled pixel. */
  readonly gradient_NhwK: Tensor;
}

/**
 * @param ignoreLabel labels of this value don't count
 * @param allIgnored what the loss is without a labelled pixel; PyTorch gives NaN
 * Throws RangeError on a label that's neither a class nor ignoreLabel, or on another batch size.
 */
export function taskCe(
  logits_NhwK: Tensor,
  labels: LabelMaps,
  ignoreLabel: number,
  allIgnored: 'zero' | 'nan' = 'zero',
): TaskCeLoss {
  const [images = 0, , , classes = 0] = logits_NhwK.shape;
  if (labels.images !== images) {
    throw new RangeError(`labels: ${labels.images} images, the logits have ${images}`);
  }
  const labelled = countLabelled(labels, classes, ignoreLabel);
  if (labelled === 0) {
    const loss = allIgnored === 'nan' ? Number.NaN : 0;
    return { loss, gradient_NhwK: zeros(logits_NhwK.shape) };
  }
  return scope(() => {
    let lossSum = 0;
    const gradients: Tensor[] = [];
    for (let image = 0; image < images; image++) {
      const part = scope(() =>
        imageCe(ops.rows(logits_NhwK, image, 1), labels, image, ignoreLabel, 1 / labelled),
      );
      lossSum += part.lossSum;
      gradients.push(part.gradient_1hwK);
    }
    const gradient_NhwK = images === 1 ? gradients[0]! : ops.concat(gradients, 0);
    return { loss: lossSum / labelled, gradient_NhwK };
  });
}

function imageCe(
  logits_1hwK: Tensor,
  { height, width, data }: LabelMaps,
  image: number,
  ignoreLabel: number,
  scale: number,
): { lossSum: number; gradient_1hwK: Tensor } {
  const pixels = height * width;
  const classes = logits_1hwK.shape[3]!;
  const resized = logits_1hwK.shape[1] !== height || logits_1hwK.shape[2] !== width;
  const full_1HWK = resized ? ops.resizeBilinear(logits_1hwK, height, width) : logits_1hwK;
  const target_P = new Int32Array(pixels);
  const weight_P = new Float32Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const label = data[image * pixels + i]!;
    // Ignored pixels take class 0 with weight 0: every index must be a class for the kernel.
    if (label !== ignoreLabel) {
      target_P[i] = label;
      weight_P[i] = scale;
    }
  }
  const { loss_N, gradient_NM } = ops.sparseSoftmaxCrossEntropy(
    ops.reshape(full_1HWK, [pixels, classes]),
    int32(target_P, [pixels]),
  );
  const losses = readFloat32(loss_N);
  let lossSum = 0;
  for (let i = 0; i < pixels; i++) if (weight_P[i]! > 0) lossSum += losses[i]!;
  const gradient_PK = ops.mul(gradient_NM, float32(weight_P, [pixels, 1]));
  const gradient_1HWK = ops.reshape(gradient_PK, [1, height, width, classes]);
  return {
    lossSum,
    gradient_1hwK: resized ? ops.resizeBilinearGrad(gradient_1HWK, logits_1hwK) : gradient_1HWK,
  };
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
