/** Where a run's labels come from, as it tells once when it starts. */
import type { StudentConfig } from '../../src/config/student.js';
import type { Dataset } from '../../src/data/types.js';
import type { Teacher } from '../../src/contract/teacher.js';
import type { Reporting } from './reporting.js';

export type LabelSource =
  | { readonly from: 'file' }
  | { readonly from: 'teacher'; readonly minConfidence: number };

export function labelSource({ data: { train } }: StudentConfig): LabelSource {
  return train.labels === 'file'
    ? { from: 'file' }
    : { from: 'teacher', minConfidence: train.minConfidence };
}

interface Parts {
  readonly dataset: Pick<Dataset, 'classNames'>;
  readonly teacher: Pick<Teacher, 'info'> | null;
  readonly log: Reporting['log'];
}

/**
 * A line of the log where the teacher gives the labels. It's a warning where the teacher's classes
 * are called otherwise than data.train's: which of its outputs is which class then is on trust.
 */
export function tellLabels(config: StudentConfig, { dataset, teacher, log }: Parts): void {
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
