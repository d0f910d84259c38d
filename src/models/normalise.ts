/** Normalises pixels: the only place where images become network input. */
import { float32, int32, ops, scope, type Tensor, uint8 } from '../tensor/index.js';

export interface PixelNormalisation {
  /** Subtracted, on the 0..255 scale, in channelOrder. */
  readonly pixelMean: readonly number[];
  /** Divides the difference, in channelOrder. */
  readonly pixelStd: readonly number[];
  /** The order in which the network sees the channels. */
  readonly channelOrder: 'rgb' | 'bgr';
}

/** The official code's: BGR minus the mean of ImageNet, not scaled. */
export const OFFICIAL_NORMALISATION: PixelNormalisation = {
  pixelMean: [104.00698793, 116.66876762, 122.67891434],
  pixelStd: [1, 1, 1],
  channelOrder: 'bgr',
};

/** torchvision's: mean and standard deviation of ImageNet, on the 0..255 scale. */
export const TORCHVISION_NORMALISATION: PixelNormalisation = {
  pixelMean: [123.675, 116.28, 103.53],
  pixelStd: [58.395, 57.12, 57.375],
  channelOrder: 'rgb',
};

export function isSameNormalisation(one: PixelNormalisation, other: PixelNormalisation): boolean {
  return (
    one.channelOrder === other.channelOrder &&
    one.pixelMean.join() === other.pixelMean.join() &&
    one.pixelStd.join() === other.pixelStd.join()
  );
}

/** "rgb less 123.675, 116.28, 103.53, divided by 58.395, 57.12, 57.375" */
export function normalisationText({
  channelOrder,
  pixelMean,
  pixelStd,
}: PixelNormalisation): string {
  return `${channelOrder} minus ${pixelMean.join(', ')}, divided by ${pixelStd.join(', ')}`;
}

/** HWC, R G B, 0..255: bytes, or floats if the image was resized. */
export type Pixels = Uint8Array | Float32Array;

/** Images of one size, all bytes or all floats. */
export interface PixelImages {
  readonly height: number;
  readonly width: number;
  /** One array per image. Don't change it afterwards: TensorFlow may keep using the memory. */
  readonly rgb: readonly Pixels[];
}

/** float32 [N, H, W, 3], in the caller's scope. */
export function normalise(
  { height, width, rgb }: PixelImages,
  { pixelMean, pixelStd, channelOrder }: PixelNormalisation,
): Tensor {
  return scope(() => {
    const shape = [1, height, width, 3];
    const images = rgb.map((pixels) =>
      pixels instanceof Float32Array ? float32(pixels, shape) : uint8(pixels, shape),
    );
    const rgb_NHWC = ops.cast(ops.concat(images, 0), 'float32');
    const ordered_NHWC =
      channelOrder === 'rgb' ? rgb_NHWC : ops.gather(rgb_NHWC, int32([2, 1, 0], [3]), 3);
    const centred_NHWC = ops.sub(ordered_NHWC, float32(Float32Array.from(pixelMean), [3]));
    return ops.div(centred_NHWC, float32(Float32Array.from(pixelStd), [3]));
  });
}
