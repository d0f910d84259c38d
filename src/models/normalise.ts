/** Pixels as a network wants them: the one place where images become network input. */
import { float32, int32, ops, scope, type Tensor, uint8 } from '../tensor/index.js';

export interface PixelNormalisation {
  /** Subtracted, on the 0..255 scale, in channelOrder. */
  readonly pixelMean: readonly number[];
  /** Divides what is left, in channelOrder. */
  readonly pixelStd: readonly number[];
  /** The order in which the network sees the channels. */
  readonly channelOrder: 'rgb' | 'bgr';
}

/** What the official code's networks are trained with: BGR less the mean of ImageNet, not scaled. */
export const OFFICIAL_NORMALISATION: PixelNormalisation = {
  pixelMean: [104.00698793, 116.66876762, 122.67891434],
  pixelStd: [1, 1, 1],
  channelOrder: 'bgr',
};

/** Images of one size. */
export interface PixelImages {
  readonly height: number;
  readonly width: number;
  /** One an image: uint8 HWC, R G B. TensorFlow may go on using the memory. */
  readonly rgb: readonly Uint8Array[];
}

/** float32 [N, H, W, 3], in the caller's scope. */
export function normalise(
  { height, width, rgb }: PixelImages,
  { pixelMean, pixelStd, channelOrder }: PixelNormalisation,
): Tensor {
  return scope(() => {
    const images = rgb.map((pixels) => uint8(pixels, [1, height, width, 3]));
    const bytes_NHWC = ops.concat(images, 0);
    const rgb_NHWC = ops.cast(bytes_NHWC, 'float32');
    const ordered_NHWC =
      channelOrder === 'rgb' ? rgb_NHWC : ops.gather(rgb_NHWC, int32([2, 1, 0], [3]), 3);
    const centred_NHWC = ops.sub(ordered_NHWC, float32(Float32Array.from(pixelMean), [3]));
    return ops.div(centred_NHWC, float32(Float32Array.from(pixelStd), [3]));
  });
}
