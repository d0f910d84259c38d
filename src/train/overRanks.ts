/** The results of one step as means over the ranks of a group; equal on all ranks, bit for bit. */
import type { Collective } from '../collectives/collective.js';
import { TERMS } from '../contract/terms.js';
import { gatherNumbers } from '../distill/ranks.js';
import type { StagedBuffers } from '../models/buffers.js';
import { scope } from '../tensor/index.js';

/** Replaces staged running statistics, which differ where each rank normalises for itself, with their means. */
export function meanStatistics(group: Collective, staged: StagedBuffers): void {
  scope(() => {
    const buffers = [...staged.values.keys()];
    const means = group.allReduce([...staged.values.values()], 'mean');
    for (const [i, buffer] of buffers.entries()) staged.stage(buffer, means[i]!);
  });
}

export interface GatheredTerms {
  /** Means over the ranks; sums are in the order of the ranks. */
  readonly terms: Record<string, number>;
  /** Each rank's. */
  readonly fingerprints: readonly number[];
}

/** @param fingerprint of this rank's state; it travels with the terms, for a collective of its own would take longer */
export function gatherTerms(
  group: Collective,
  terms: Readonly<Record<string, number>>,
  fingerprint: number,
): GatheredTerms {
  const present = TERMS.filter((term) => terms[term] !== undefined);
  const own = [...present.map((term) => terms[term]!), fingerprint];
  const all = gatherNumbers(group, Float64Array.from(own));
  const mean = (i: number) => all.reduce((sum, ofRank) => sum + ofRank[i]!, 0) / group.size;
  return {
    terms: Object.fromEntries(present.map((term, i) => [term, mean(i)])),
    fingerprints: all.map((ofRank) => ofRank.at(-1)!),
  };
}
