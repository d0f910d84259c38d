/**
 * Cross entropy of logits at a lower resolution with labels at full resolution.
 *
 * N images, h w positions of the logits, H W positions of the labels, K classes.
 *
 * Logits are upsampled like resizeBilinear does it. The addon's kernel
 * (../native/pixelCrossEntropy.cc) keeps nothing at full resolution in memory, the composed one only
 * one image at a time.
 */
import { float32, int32, readFloat32, scalar, uint8 } from '../create.js';
import { executeAll } from '../execute.js';
import { addN, mul } from '../ops/elementwise.js';
import { sum } from '../ops/reduce.js';
import { resizeBilinear, resizeBilinearGrad } from '../ops/resize.js';
import { concat, reshape, rows } from '../ops/shape.js';
import { sparseSoftmaxCrossEntropy } from '../ops/softmax.js';
import { scope, type Tensor } from '../tensor.js';

export interface PixelCrossEntropy {
  /** float32 [1]: the sum over labelled pixels of weight[label] * -log softmax at the label. */
  readonly lossSum_1: Tensor;
  /** float32 [N, h, w, K]: scale times the gradient of the sum. */
  readonly gradient_NhwK: Tensor;
}

export interface PixelCrossEntropyOptions {
  /** Factor on the gradient. */
  readonly scale: number;
  /** See resizeBilinear. */
  readonly alignCorners: boolean;
  /** [K]: factors on the losses of each class's pixels; default: ones. */
  readonly classWeights?: Float32Array | undefined;
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
  { scale, alignCorners, classWeights },
) =>
  scope(() => {
    const [classes = 0] = logits_NhwK.shape.slice(3);
    // Copied, because the addon may keep using the array, which belongs to the caller.
    const labels_NHW = uint8(labels.data.slice(), [
      logits_NhwK.shape[0]!,
      labels.height,
      labels.width,
    ]);
    const weights_K = float32(classWeights?.slice() ?? new Float32Array(classes).fill(1), [
      classes,
    ]);
    const inputs = [logits_NhwK, labels_NHW, scalar(scale), weights_K];
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

/**
 * -log softmax at the label of every pixel, [N, H, W] row-major; 0 where the label is >= K. On any device, one
 * image at a time.
 */
export function pixelLosses(
  logits_NhwK: Tensor,
  { data, height, width }: { data: Uint8Array; height: number; width: number },
  alignCorners: boolean,
): Float32Array {
  const pixels = height * width;
  const losses = new Float32Array(data.length);
  const [images = 0, , , classes = 0] = logits_NhwK.shape;
  for (let image = 0; image < images; image++) {
    const own = data.subarray(image * pixels, (image + 1) * pixels);
    const loss_P = scope(() => {
      const logits_1HWK = atFullSize(rows(logits_NhwK, image, 1), height, width, alignCorners);
      const target_P = Int32Array.from(own, (label) => (label < classes ? label : 0));
      const { loss_N } = sparseSoftmaxCrossEntropy(
        reshape(logits_1HWK, [pixels, classes]),
        int32(target_P, [pixels]),
      );
      return readFloat32(loss_N);
    });
    for (let i = 0; i < pixels; i++) {
      losses[image * pixels + i] = own[i]! < classes ? loss_P[i]! : 0;
    }
  }
  return losses;
}

function atFullSize(
  logits_1hwK: Tensor,
  height: number,
  width: number,
  alignCorners: boolean,
): Tensor {
  const [, h, w] = logits_1hwK.shape;
  if (h === height && w === width) return logits_1hwK;
  return resizeBilinear(logits_1hwK, height, width, alignCorners);
}

const ofOneImage: PixelCrossEntropyKernel = (
  logits_1hwK,
  { data, height, width },
  { scale, alignCorners, classWeights },
) => {
  const [, h, w, classes = 0] = logits_1hwK.shape;
  const resized = h !== height || w !== width;
  const full_1HWK = atFullSize(logits_1hwK, height, width, alignCorners);
  // Ignored pixels become class 0 with weight 0, because the kernel needs a class everywhere.
  const target_P = Int32Array.from(data, (label) => (label < classes ? label : 0));
  const weight_P = Float32Array.from(data, (label) =>
    label < classes ? (classWeights?.[label] ?? 1) : 0,
  );
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
