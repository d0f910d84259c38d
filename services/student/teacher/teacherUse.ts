/** What a run uses its teachers for, reported once at the start: outputs, terms, labels. */
import { ConfigError } from '../../../src/config/configError.js';
import type { StudentConfig } from '../../../src/config/student.js';
import { dtypeOfOutput, type NeededOutput, OUTPUTS } from '../../../src/contract/outputs.js';
import { ContractMismatchError, type Teacher } from '../../../src/contract/teacher.js';
import {
  FEATURE_TERMS,
  LOGITS_TERMS,
  TERM_OUTPUTS,
  type TeacherTerm,
  type WeightedTerm,
} from '../../../src/contract/terms.js';
import type { Dataset } from '../../../src/data/types.js';
import type { RemoteTeacher } from '../../../src/stream/client/remoteTeacher.js';
import type { Reporting } from '../reporting.js';

/** Logs what answers consist of, and what could be amiss with it. */
export function logOutputs(
  { outputs, classifier, info }: Pick<RemoteTeacher, 'outputs' | 'classifier' | 'info'>,
  needed: readonly NeededOutput[],
  log: Reporting['log'],
): void {
  const sent = outputs.map((request) => `${request.output} ${dtypeOfOutput(request)}`);
  log.info({ outputs: sent }, 'outputs of the teachers');
  if (needed.includes('aux_norm') && !info.hasAuxLogits) {
    const { model } = info;
    log.warn({ teacher: model }, 'dsd_psd with two levels: the teacher gives no auxiliary logits');
  }
  if (classifier !== null && !needed.includes('embedding')) {
    log.warn(
      'teacher.logits: rebuilt has the embedding sent, which no term needs; sent is smaller',
    );
  }
}

/** Terms left out, for the start event. */
export interface LeftOutTerms {
  readonly terms: readonly WeightedTerm[];
  readonly reason: string;
}

interface Connected {
  readonly teacher: Pick<Teacher, 'info'> | null;
  readonly log: Reporting['log'];
}

/**
 * The weighted terms that compare features, if the teacher gives none; warns of them in one line of the
 * log. null: no term is left out. Throws ContractMismatchError if no term would use the teacher.
 */
export function leaveOutTerms(
  config: StudentConfig,
  { teacher, log }: Connected,
): LeftOutTerms | null {
  if (teacher === null || teacher.info.featureChannels > 0) return null;
  const { weights } = config.loss;
  const terms = featureTerms(config);
  if (terms.length === 0) return null;
  const reason = `teacher ${teacher.info.model} provides no feature`;
  const teaches = config.data.train.labels === 'teacher' && weights.task > 0;
  if (LOGITS_TERMS.every((term) => weights[term] === 0) && !teaches) {
    throw withoutFeature(terms, reason);
  }
  log.warn({ terms, reason }, 'terms left out');
  return { terms, reason };
}

/**
 * The error to end with where no teacher was admitted: a teacher that is asked for nothing but parts of a
 * feature, and has none, refuses before the student knows what it gives. Then it is the error of
 * `leaveOutTerms`, which names the terms; else the given one.
 */
export function withMissingFeature(
  error: unknown,
  config: StudentConfig,
  needed: readonly NeededOutput[],
): unknown {
  if (!(error instanceof ContractMismatchError)) return error;
  const isFeatureAlone = needed.every((output) => OUTPUTS[output].of === 'feature');
  // The refusal is a line of text; src/stream/server/hello.ts has it.
  if (!isFeatureAlone || !/^[^\n]*hello\.outputs: .*provides no feature/.test(error.message))
    return error;
  return withoutFeature(featureTerms(config), error.message);
}

const featureTerms = ({ loss: { weights } }: StudentConfig) =>
  FEATURE_TERMS.filter((term) => weights[term] > 0);

/** Names each term and what it lacks. */
function withoutFeature(terms: readonly TeacherTerm[], reason: string): ContractMismatchError {
  const needs = terms.map((term) => {
    const missing = TERM_OUTPUTS[term].filter((output) => OUTPUTS[output].of === 'feature');
    return `loss.weights.${term} needs ${missing.join(' and ')}`;
  });
  return new ContractMismatchError(
    `feature_channels: 0 given, wanted a feature, as nothing else would be learnt from the teacher: ${needs.join(', ')}; ${reason}`,
  );
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
  { dataset, teacher, log }: Connected & { readonly dataset: Pick<Dataset, 'classNames'> },
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

/** A fault of the config that shows only once teachers are connected. */
export function teacherFault(key: string, message: string): ConfigError {
  return new ConfigError('teacher', [{ key, line: null, override: null, message }]);
}
