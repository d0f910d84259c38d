/** Terms of the objective that a run's teacher can't have, as it tells once when it starts. */
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { Teacher } from '../../src/contract/teacher.js';
import { FEATURE_TERMS, type WeightedTerm } from '../../src/contract/terms.js';
import type { Reporting } from './reporting.js';

/** In the start event. */
export interface LeftOutTerms {
  readonly terms: readonly WeightedTerm[];
  readonly reason: string;
}

interface Parts {
  readonly teacher: Pick<Teacher, 'info'> | null;
  readonly log: Reporting['log'];
}

/**
 * Terms with a weight that compare features, where the teacher gives none; warned of in one line of the
 * log. null: nothing is left out. Throws ConfigError where nothing would be left of the teacher.
 */
export function leaveOutTerms(config: StudentConfig, { teacher, log }: Parts): LeftOutTerms | null {
  if (teacher === null || teacher.info.featureChannels > 0) return null;
  const { weights } = config.loss;
  const terms = FEATURE_TERMS.filter((term) => weights[term] > 0);
  if (terms.length === 0) return null;
  const reason = `teacher ${teacher.info.model} gives no feature`;
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
