/** What a run uses its teacher for, reported once at the start: labels, and which terms. */
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { Teacher } from '../../src/contract/teacher.js';
import type { Dataset } from '../../src/data/types.js';
import { FEATURE_TERMS, type WeightedTerm } from '../../src/contract/terms.js';
import type { Reporting } from './reporting.js';

/** Terms left out, for the start event. */
export interface LeftOutTerms {
  readonly terms: readonly WeightedTerm[];
  readonly reason: string;
}

interface Parts {
  readonly teacher: Pick<Teacher, 'info'> | null;
  readonly log: Reporting['log'];
}

/**
 * The weighted terms that compare features, if the teacher gives none; warns of them in one line of the
 * log. null: no term is left out. Throws ConfigError if no term would use the teacher.
 */
export function leaveOutTerms(config: StudentConfig, { teacher, log }: Parts): LeftOutTerms | null {
  if (teacher === null || teacher.info.featureChannels > 0) return null;
  const { weights } = config.loss;
  const terms = FEATURE_TERMS.filter((term) => weights[term] > 0);
  if (terms.length === 0) return null;
  const reason = `teacher ${teacher.info.model} provides no feature`;
  const teaches = config.data.train.labels === 'teacher' && weights.task > 0;
  if (weights.logits_kd === 0 && !teaches) {
    const keys = terms.map((term) => `loss.weights.${term}`).join(', ');
    const message = `got 0, wanted more than 0: ${reason}, so ${keys} can't be computed and nothing is left to learn from it`;
    const fault = { key: 'loss.weights.logits_kd', line: null, override: null, message };
    throw new ConfigError('teacher', [fault]);
  }
  log.warn({ terms, reason }, 'terms left out');
  return { terms, reason };
}

/** The source of a run's labels. */
export type LabelSource =
  | { readonly from: 'file' }
  | { readonly from: 'teacher'; readonly minConfidence: number };

export function labelSource({ data: { train } }: StudentConfig): LabelSource {
  return train.labels === 'file'
    ? { from: 'file' }
    : { from: 'teacher', minConfidence: train.minConfidence };
}

/**
 * Logs a line if the teacher gives the labels. It is a warning if the teacher's class names differ
 * from data.train's: then nothing verifies which output is which class.
 */
export function logLabels(
  config: StudentConfig,
  { dataset, teacher, log }: Parts & { readonly dataset: Pick<Dataset, 'classNames'> },
): void {
  const labels = labelSource(config);
  if (labels.from === 'file') return;
  log.info({ ...labels }, 'labels');
  const given = teacher?.info.classNames ?? [];
  if (given.join() === dataset.classNames.join()) return;
  log.warn(
    { teacher: given, data: dataset.classNames },
    "labels: the teacher's class names differ",
  );
}
