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

/** Sums are in the order of the ranks. */
export function meanTerms(
  group: Collective,
  terms: Readonly<Record<string, number>>,
): Record<string, number> {
  const present = TERMS.filter((term) => terms[term] !== undefined);
  const all = gatherNumbers(
    group,
    Float64Array.from(present, (term) => terms[term]!),
  );
  return Object.fromEntries(
    present.map((term, i) => [term, all.reduce((sum, ofRank) => sum + ofRank[i]!, 0) / group.size]),
  );
}
