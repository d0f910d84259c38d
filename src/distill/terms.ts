/** The terms of the objective, spelled as in config, log, metrics and report. */

/** Each has a weight. */
export const WEIGHTED_TERMS = [
  'task',
  'logits_kd',
  'minibatch_pixel',
  'memory_pixel',
  'memory_region',
] as const;

/** Those that compare the student's feature with the teacher's. */
export const FEATURE_TERMS = ['minibatch_pixel', 'memory_pixel', 'memory_region'] as const;

export type WeightedTerm = (typeof WEIGHTED_TERMS)[number];

export const TERMS = [...WEIGHTED_TERMS, 'total'] as const;

export type Term = (typeof TERMS)[number];

/** Unweighted, `task` with its aux part; a term that isn't computed is absent. `total` is weighted. */
export type Terms = { readonly [term in WeightedTerm]?: number } & { readonly total: number };

export type TermWeights = Readonly<Record<WeightedTerm, number>>;
