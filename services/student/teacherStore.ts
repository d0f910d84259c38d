/** Puts the config's store of answers in front of the run's teachers. */
import type { AnswerHooks } from '../../src/answers/answerHooks.js';
import { StoredTeacher } from '../../src/answers/storedTeacher.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { OutputRequest } from '../../src/contract/outputs.js';
import type { Teacher } from '../../src/contract/teacher.js';
import { openStore } from '../program/openStore.js';
import type { Reporting } from './reporting.js';

/**
 * The teacher itself if the config names no store. `outputs`: what each of its replies consists of.
 * Rejects with ConfigError if the folder can't be used; the teacher stays open then.
 */
export async function withStore(
  teacher: Teacher,
  outputs: readonly OutputRequest[],
  config: StudentConfig,
  { metrics, log, answeredFromStore }: Reporting,
): Promise<Teacher> {
  const { directory, maxMiB } = config.teacher.store;
  if (directory === null) return teacher;
  const hooks: AnswerHooks = {
    ...metrics.store,
    onProblem: (message) => log.warn({ directory }, message),
  };
  const store = await openStore('student', 'teacher.store.directory', { directory, maxMiB, hooks });
  const { accumulateSteps } = config.train;
  const onStored = ({ batch }: { readonly batch?: number }) => {
    if (batch !== undefined) answeredFromStore(Math.floor(batch / accumulateSteps));
  };
  return new StoredTeacher({ teacher, outputs, store, hooks, onStored });
}
