/** The terms of the objective, spelled as in config, log, metrics and report. */

/** Those that compare the student's feature with the teacher's. */
export const FEATURE_TERMS = ['minibatch_pixel', 'memory_pixel', 'memory_region'] as const;

/** Those that need a teacher. */
export const TEACHER_TERMS = ['logits_kd', ...FEATURE_TERMS] as const;

/** Each has a weight. */
export const WEIGHTED_TERMS = ['task', ...TEACHER_TERMS] as const;

export const TERMS = [...WEIGHTED_TERMS, 'total'] as const;

export type TeacherTerm = (typeof TEACHER_TERMS)[number];

export type WeightedTerm = (typeof WEIGHTED_TERMS)[number];

export type Term = (typeof TERMS)[number];

/** Unweighted, `task` with its aux part; a term that isn't computed is absent. `total` is weighted. */
export type Terms = { readonly [term in WeightedTerm]?: number } & { readonly total: number };

export type TermWeights = Readonly<Record<WeightedTerm, number>>;

/** 0 for each term that isn't given. */
export function termWeights(given: Partial<TermWeights>): TermWeights {
  const zeros = Object.fromEntries(WEIGHTED_TERMS.map((term) => [term, 0]));
  return { ...(zeros as Record<WeightedTerm, number>), ...given };
}
