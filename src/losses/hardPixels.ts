/**
 * Online hard example mining: the pixels of a batch whose class is improbable (Shrivastava et al. 2016, as the
 * OhemCrossEntropy of HRNet and OCNet selects pixels).
 *
 * N images, h w positions of the logits, H W positions of the labels, K classes.
 */
import { pixelLosses, type Tensor } from '../tensor/index.js';
import type { LabelMaps } from './nearestLabels.js';

export interface OhemOptions {
  /** Pixels are hard if the probability of their class is below this, between 0 and 1. */
  readonly threshold: number;
  /** At least so many pixels of the batch are taken, the hardest ones; all, if there are fewer. */
  readonly minKept: number;
}

/**
 * The labels with every pixel ignored that isn't hard. Pixels as hard as the last of the `minKept` are taken, too.
 *
 * Works on one image at a time at full resolution, [H, W, K] in float32.
 */
export function hardPixels(
  logits_NhwK: Tensor,
  labels: LabelMaps,
  options: OhemOptions & { readonly ignoreLabel: number; readonly alignCorners: boolean },
): LabelMaps {
  const { threshold, minKept, ignoreLabel, alignCorners } = options;
  const losses_NHW = pixelLosses(logits_NhwK, labels, alignCorners);
  const labelled = labels.data.reduce((sum, label) => sum + (label === ignoreLabel ? 0 : 1), 0);
  if (labelled <= minKept) return labels;
  let least = -Math.log(threshold);
  let hard = 0;
  for (let i = 0; i < losses_NHW.length; i++) {
    if (labels.data[i] !== ignoreLabel && losses_NHW[i]! > least) hard++;
  }
  const isEnough = hard >= minKept;
  if (!isEnough) least = lossOfRank(losses_NHW, labels, minKept, ignoreLabel);
  const data = labels.data.map((label, i) => {
    const loss = losses_NHW[i]!;
    // A loss that isn't a number stays in the mean, where it is noticed.
    const isEasy = isEnough ? loss <= least : loss < least;
    return isEasy ? ignoreLabel : label;
  });
  return { ...labels, data };
}

/** The loss that `rank` labelled pixels have or exceed. */
function lossOfRank(
  losses: Float32Array,
  { data }: LabelMaps,
  rank: number,
  ignoreLabel: number,
): number {
  const labelled = losses.filter((_, i) => data[i] !== ignoreLabel).sort();
  return labelled[Math.max(0, labelled.length - rank)]!;
}
