/**
 * The official CIRKD augmentation in one pass over the crop: random scale, padding on the right and below,
 * random crop, random mirror. Only the crop of the scaled image is computed.
 */
import type { Draws } from '../random/draws.js';
import { IGNORE_LABEL, type Sample } from './types.js';

export interface Augmentation {
  /** false: the centre of the unscaled image, not mirrored; what follows then has no effect. */
  readonly isRandom: boolean;
  /** Different crops of a sample: epoch e has number e modulo this; 0: a new one in every epoch. */
  readonly fixedCrops: number;
  readonly cropHeight: number;
  readonly cropWidth: number;
  /** Range of the scale factor, both ends included. The official loaders: 0.5 to 2. */
  readonly scaleMin: number;
  readonly scaleMax: number;
  /** Factors are scaleMin + k · scaleStep (official: 0.1); 0: any factor in the range. */
  readonly scaleStep: number;
  /** Mirror each crop with probability 1/2. */
  readonly mirror: boolean;
  /** R, G, B of the padding, for a scaled image smaller than the crop. */
  readonly paddingPixel: readonly [number, number, number];
}

/** What the draws decided. */
export interface CropPlan {
  readonly scale: number;
  readonly scaledHeight: number;
  readonly scaledWidth: number;
  /** The crop's upper left corner in the scaled, padded image. */
  readonly top: number;
  readonly left: number;
  readonly mirrored: boolean;
}

/** The epoch whose draws make a sample's crop in `epoch`: also an earlier one, if crops come again. */
export function epochOfDraws(
  { isRandom, fixedCrops }: Pick<Augmentation, 'isRandom' | 'fixedCrops'>,
  epoch: number,
): number {
  if (!isRandom) return 0;
  return fixedCrops === 0 ? epoch : epoch % fixedCrops;
}

/** Always makes the same number of draws, so that changing one option doesn't change the other choices. */
export function planCrop(
  height: number,
  width: number,
  augmentation: Augmentation,
  draws: Draws,
): CropPlan {
  const { cropHeight, cropWidth } = augmentation;
  if (!augmentation.isRandom) {
    const top = Math.max(height - cropHeight, 0) >> 1;
    const left = Math.max(width - cropWidth, 0) >> 1;
    return { scale: 1, scaledHeight: height, scaledWidth: width, top, left, mirrored: false };
  }
  const scale = drawScale(augmentation, draws);
  const scaledHeight = roundHalfEven(height * scale);
  const scaledWidth = roundHalfEven(width * scale);
  const top = draws.integer(Math.max(scaledHeight - cropHeight, 0) + 1);
  const left = draws.integer(Math.max(scaledWidth - cropWidth, 0) + 1);
  const heads = draws.integer(2) === 1;
  return { scale, scaledHeight, scaledWidth, top, left, mirrored: augmentation.mirror && heads };
}

function drawScale({ scaleMin, scaleMax, scaleStep }: Augmentation, draws: Draws): number {
  if (scaleStep === 0) return scaleMin + (scaleMax - scaleMin) * draws.uniform();
  const steps = Math.floor((scaleMax - scaleMin) / scaleStep + 1e-6);
  // A division, as in the official 0.5 + k / 10, because 3 · 0.1 isn't 0.3.
  return scaleMin + draws.integer(steps + 1) / (1 / scaleStep);
}

/** OpenCV's rounding of a scaled image's size. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const odd = floor % 2;
  return Math.max(value - floor === 0.5 ? floor + odd : Math.round(value), 1);
}

/**
 * Makes one random crop. Pure: the same sample, options and draws give the same bytes.
 *
 * @returns rgb uint8 [cropHeight, cropWidth, 3]; labels uint8 [cropHeight, cropWidth].
 */
export function augment(
  sample: Sample,
  augmentation: Augmentation,
  draws: Draws,
): { rgb: Uint8Array; labels: Uint8Array } {
  const plan = planCrop(sample.height, sample.width, augmentation, draws);
  return cropByPlan(sample, augmentation, plan);
}

export function cropByPlan(
  sample: Sample,
  augmentation: Augmentation,
  plan: CropPlan,
): { rgb: Uint8Array; labels: Uint8Array } {
  const { cropHeight, cropWidth } = augmentation;
  const rgb = new Uint8Array(cropHeight * cropWidth * 3);
  const labels = new Uint8Array(cropHeight * cropWidth).fill(IGNORE_LABEL);
  const filledHeight = Math.min(plan.scaledHeight - plan.top, cropHeight);
  const filledWidth = Math.min(plan.scaledWidth - plan.left, cropWidth);
  if (filledHeight < cropHeight || filledWidth < cropWidth) {
    const [red, green, blue] = augmentation.paddingPixel;
    for (let i = 0; i < rgb.length; i += 3) {
      rgb[i] = red;
      rgb[i + 1] = green;
      rgb[i + 2] = blue;
    }
  }
  const rows = axisTaps(sample.height, plan.scale, plan.top, filledHeight);
  const columns = axisTaps(sample.width, plan.scale, plan.left, filledWidth);
  for (let y = 0; y < filledHeight; y++) {
    const low = rows.low[y]! * sample.width;
    const high = rows.high[y]! * sample.width;
    const nearest = rows.nearest[y]! * sample.width;
    const weightY = rows.weight[y]!;
    for (let x = 0; x < filledWidth; x++) {
      const to = y * cropWidth + (plan.mirrored ? cropWidth - 1 - x : x);
      labels[to] = sample.labels[nearest + columns.nearest[x]!]!;
      const weightX = columns.weight[x]!;
      const left = columns.low[x]!;
      const right = columns.high[x]!;
      for (let channel = 0; channel < 3; channel++) {
        const upperLeft = sample.rgb[(low + left) * 3 + channel]!;
        const upper = upperLeft + weightX * (sample.rgb[(low + right) * 3 + channel]! - upperLeft);
        const lowerLeft = sample.rgb[(high + left) * 3 + channel]!;
        const lower = lowerLeft + weightX * (sample.rgb[(high + right) * 3 + channel]! - lowerLeft);
        rgb[to * 3 + channel] = upper + weightY * (lower - upper) + 0.5;
      }
    }
  }
  return { rgb, labels };
}

/** The source pixels of the crop's pixels along one axis. */
interface AxisTaps {
  /** The two source pixels of the bilinear sample, and the weight of the second. */
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float64Array;
  readonly nearest: Int32Array;
}

/**
 * The geometry of cv2.resize with a factor: INTER_LINEAR samples at (x + 0.5) / scale - 0.5 and
 * repeats the border; INTER_NEAREST takes floor(x / scale).
 */
function axisTaps(sourceLength: number, scale: number, offset: number, length: number): AxisTaps {
  const low = new Int32Array(length);
  const high = new Int32Array(length);
  const weight = new Float64Array(length);
  const nearest = new Int32Array(length);
  const last = sourceLength - 1;
  const inverse = 1 / scale;
  for (let i = 0; i < length; i++) {
    const at = Math.min(Math.max((offset + i + 0.5) * inverse - 0.5, 0), last);
    low[i] = Math.floor(at);
    high[i] = Math.min(low[i]! + 1, last);
    weight[i] = at - low[i]!;
    nearest[i] = Math.min(Math.floor((offset + i) * inverse), last);
  }
  return { low, high, weight, nearest };
}
