/** The terms of the objective, spelled as in config, log, metrics and report. */
import type { NeededOutput } from './outputs.js';

/** CIRKD's own terms that compare the student's feature with the teacher's. */
const CIRKD_FEATURE_TERMS = ['minibatch_pixel', 'memory_pixel', 'memory_region'] as const;

/** CIRKD's own terms with a teacher. */
export const CIRKD_TERMS = ['logits_kd', ...CIRKD_FEATURE_TERMS] as const;

/** The terms of the methods compared with (docs/losses.md). */
export const COMPARED_TERMS = [
  'attention_transfer',
  'fitnet',
  'skd_pairwise',
  'skd_holistic',
  'ifvd',
  'cwd_feature',
  'cwd_logits',
  'dsd_psd',
  'dsd_csd',
] as const;

/** The channel terms of CIRKD's second version. */
export const CHANNEL_TERMS = ['minibatch_channel', 'memory_channel', 'channel_mse'] as const;

/** The terms that need a teacher. */
export const TEACHER_TERMS = [...CIRKD_TERMS, ...CHANNEL_TERMS, ...COMPARED_TERMS] as const;

const RAW_FEATURE = ['embedding', 'feature_norm'] as const;

/**
 * The teacher's outputs that each term is computed from. `minibatch_pixel` needs the norms, too, where it
 * pools; `dsd_psd` has a level less where either side lacks auxiliary logits.
 */
export const TERM_OUTPUTS: Readonly<Record<TeacherTerm, readonly NeededOutput[]>> = {
  logits_kd: ['logits'],
  minibatch_pixel: ['embedding'],
  memory_pixel: ['embedding'],
  memory_region: ['embedding'],
  minibatch_channel: RAW_FEATURE,
  memory_channel: RAW_FEATURE,
  channel_mse: RAW_FEATURE,
  attention_transfer: ['feature_norm'],
  fitnet: RAW_FEATURE,
  skd_pairwise: RAW_FEATURE,
  skd_holistic: ['logits'],
  ifvd: RAW_FEATURE,
  cwd_feature: RAW_FEATURE,
  cwd_logits: ['logits'],
  dsd_psd: ['logits', 'feature_norm', 'aux_norm'],
  dsd_csd: ['logits'],
};

/** The teacher's terms that need its logits alone. */
export const LOGITS_TERMS: readonly TeacherTerm[] = TEACHER_TERMS.filter((term) =>
  TERM_OUTPUTS[term].every((output) => output === 'logits'),
);

/** The terms that compare the student's feature with the teacher's. */
export const FEATURE_TERMS: readonly TeacherTerm[] = TEACHER_TERMS.filter(
  (term) => !LOGITS_TERMS.includes(term),
);

/** The terms with a 1x1 convolution of their own, trained with the student. */
export const CONVOLVED_TERMS = ['fitnet', 'cwd_feature'] as const;

/** The terms that have a weight. */
export const WEIGHTED_TERMS = ['task', ...TEACHER_TERMS] as const;

/** The loss that skd_holistic's discriminator is trained with: reported, and no part of total. */
export const DISCRIMINATOR_TERM = 'skd_discriminator';

export const TERMS = [...WEIGHTED_TERMS, DISCRIMINATOR_TERM, 'total'] as const;

export type CirkdTerm = (typeof CIRKD_TERMS)[number];

export type ComparedTerm = (typeof COMPARED_TERMS)[number];

export type ChannelTerm = (typeof CHANNEL_TERMS)[number];

export type ConvolvedTerm = (typeof CONVOLVED_TERMS)[number];

export type TeacherTerm = (typeof TEACHER_TERMS)[number];

export type WeightedTerm = (typeof WEIGHTED_TERMS)[number];

export type Term = (typeof TERMS)[number];

/** Unweighted, `task` with its aux part; a term that isn't computed is absent. `total` is weighted. */
export type Terms = { readonly [term in Exclude<Term, 'total'>]?: number } & {
  readonly total: number;
};

export type TermWeights = Readonly<Record<WeightedTerm, number>>;

/** The given weights, and 0 for each other term. */
export function termWeights(given: Partial<TermWeights>): TermWeights {
  const zeros = Object.fromEntries(WEIGHTED_TERMS.map((term) => [term, 0]));
  return { ...(zeros as Record<WeightedTerm, number>), ...given };
}
