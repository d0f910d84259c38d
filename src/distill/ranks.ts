/**
 * What the objective takes from the other ranks of a group, each of which has an equal share of the batch.
 *
 * A rank computes its own loss l_r and gradient; the trainer takes the mean of both over the ranks. So a term over
 * the whole batch, whose mean isn't the mean of the ranks' means, is scaled here beforehand.
 */
import type { Collective } from '../collectives/collective.js';
import { singleProcess } from '../collectives/single.js';
import type { LabelMaps } from '../losses/nearestLabels.js';
import { ops, type Tensor } from '../tensor/index.js';

export interface RankSettings {
  /** Means over labelled pixels: of each rank's own, and then over the ranks; or of all ranks' at once. */
  readonly labelledMean: 'rank' | 'batch';
  /** The images that mini-batch terms compare with one another. */
  readonly minibatch: 'rank' | 'batch';
}

export interface Ranks extends RankSettings {
  readonly group: Collective;
}

export const ALONE: Ranks = { group: singleProcess, labelledMean: 'rank', minibatch: 'rank' };

/**
 * The factors on this rank's means that make the mean over the ranks one over all their elements, given how many
 * elements (or which weight) each of its means is over. 1 with `labelledMean: rank`. All ranks must call it.
 */
export function meanFactors({ group, labelledMean }: Ranks, weights: readonly number[]): number[] {
  if (labelledMean === 'rank' || group.size === 1) return weights.map(() => 1);
  const all = gatherNumbers(group, Float64Array.from(weights));
  return weights.map((own, i) => {
    const total = all.reduce((sum, ofRank) => sum + ofRank[i]!, 0);
    return total === 0 ? 1 : (own * group.size) / total;
  });
}

/** Every rank's numbers, as many on each, in the order of the ranks. */
export function gatherNumbers(group: Collective, own: Float64Array): Float64Array[] {
  return group
    .allGatherBytes(new Uint8Array(own.buffer, own.byteOffset, own.byteLength), 'equal')
    .map((bytes) => new Float64Array(bytes.slice().buffer));
}

/** The label maps of the whole batch, in order. */
export function gatherLabels(group: Collective, labels: LabelMaps): LabelMaps {
  if (group.size === 1) return labels;
  const parts = group.allGatherBytes(new Uint8Array(labels.data), 'equal');
  const data = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { ...labels, data, images: labels.images * group.size };
}

/** Every rank's rows, one rank's after the other's; ranks may have different numbers. */
export function gatherRows(group: Collective, own: Float32Array): Float32Array {
  if (group.size === 1) return own;
  const parts = group.allGatherBytes(new Uint8Array(own.buffer, own.byteOffset, own.byteLength));
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0) / 4);
  let at = 0;
  for (const part of parts) {
    all.set(new Float32Array(part.slice().buffer), at);
    at += part.length / 4;
  }
  return all;
}

/** This rank's part of a gathered tensor. */
export function ownRows(group: Collective, all: Tensor): Tensor {
  const count = all.shape[0]! / group.size;
  return group.size === 1 ? all : ops.rows(all, group.rank * count, count);
}
