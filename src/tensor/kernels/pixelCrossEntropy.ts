/**
 * Cross entropy of logits at a lower resolution with labels at full resolution.
 *
 * N images, h w positions of the logits, H W positions of the labels, K classes.
 *
 * Logits are upsampled like resizeBilinear does it. The addon's kernel
 * (../native/pixelCrossEntropy.cc) keeps nothing at full resolution in memory, the composed one only
 * one image at a time.
 */
import { float32, int32, scalar, uint8 } from '../create.js';
import { executeAll } from '../execute.js';
import { addN, mul } from '../ops/elementwise.js';
import { sum } from '../ops/reduce.js';
import { resizeBilinear, resizeBilinearGrad } from '../ops/resize.js';
import { concat, reshape, rows } from '../ops/shape.js';
import { sparseSoftmaxCrossEntropy } from '../ops/softmax.js';
import { scope, type Tensor } from '../tensor.js';

export interface PixelCrossEntropy {
  /** float32 [1]: the sum over labelled pixels of -log softmax at the label. */
  readonly lossSum_1: Tensor;
  /** float32 [N, h, w, K]: scale times the gradient of the sum. */
  readonly gradient_NhwK: Tensor;
}

export interface PixelCrossEntropyOptions {
  /** Factor on the gradient. */
  readonly scale: number;
  /** See resizeBilinear. */
  readonly alignCorners: boolean;
}

/** Labels [N, H, W], row-major; labels >= K are ignored. */
export type PixelCrossEntropyKernel = (
  logits_NhwK: Tensor,
  labels: { readonly data: Uint8Array; readonly height: number; readonly width: number },
  options: PixelCrossEntropyOptions,
) => PixelCrossEntropy;

/** CPU only. */
export const nativePixelCrossEntropy: PixelCrossEntropyKernel = (
  logits_NhwK,
  labels,
  { scale, alignCorners },
) =>
  scope(() => {
    // Copied, because the addon may keep using the array, which belongs to the caller.
    const labels_NHW = uint8(labels.data.slice(), [
      logits_NhwK.shape[0]!,
      labels.height,
      labels.width,
    ]);
    const inputs = [logits_NhwK, labels_NHW, scalar(scale)];
    const op = alignCorners ? 'CirkdPixelCrossEntropy' : 'CirkdPixelCrossEntropyHalfPixel';
    const [gradient_NhwK, lossSum_1] = executeAll(op, inputs, [], 2);
    return { lossSum_1: lossSum_1!, gradient_NhwK: gradient_NhwK! };
  });

/** Composed of TensorFlow's ops; any device. */
export const composedPixelCrossEntropy: PixelCrossEntropyKernel = (logits_NhwK, labels, options) =>
  scope(() => {
    const pixels = labels.height * labels.width;
    const parts = Array.from({ length: logits_NhwK.shape[0]! }, (_, image) =>
      scope(() => {
        const own = labels.data.subarray(image * pixels, (image + 1) * pixels);
        return ofOneImage(rows(logits_NhwK, image, 1), { ...labels, data: own }, options);
      }),
    );
    return {
      lossSum_1: addN(parts.map((part) => part.lossSum_1)),
      gradient_NhwK: concat(
        parts.map((part) => part.gradient_NhwK),
        0,
      ),
    };
  });

const ofOneImage: PixelCrossEntropyKernel = (
  logits_1hwK,
  { data, height, width },
  { scale, alignCorners },
) => {
  const [, h, w, classes = 0] = logits_1hwK.shape;
  const resized = h !== height || w !== width;
  const full_1HWK = resized
    ? resizeBilinear(logits_1hwK, height, width, alignCorners)
    : logits_1hwK;
  // Ignored pixels become class 0 with weight 0, because the kernel needs a class everywhere.
  const target_P = Int32Array.from(data, (label) => (label < classes ? label : 0));
  const weight_P = Float32Array.from(data, (label) => (label < classes ? 1 : 0));
  const weight = float32(weight_P, [data.length]);
  const { loss_N, gradient_NM } = sparseSoftmaxCrossEntropy(
    reshape(full_1HWK, [data.length, classes]),
    int32(target_P, [data.length]),
  );
  const factor_P1 = reshape(mul(weight, scalar(scale)), [data.length, 1]);
  const gradient_1HWK = reshape(mul(gradient_NM, factor_P1), full_1HWK.shape);
  return {
    lossSum_1: reshape(sum(mul(loss_N, weight), [0]), [1]),
    gradient_NhwK: resized
      ? resizeBilinearGrad(gradient_1HWK, logits_1hwK, alignCorners)
      : gradient_1HWK,
  };
};
