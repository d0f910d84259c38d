/** Puts the config's store of answers in front of the run's teachers. */
import type { AnswerHooks } from '../../../src/answers/answerHooks.js';
import { type ReplyForm, StoredTeacher } from '../../../src/answers/storedTeacher.js';
import { ConfigError } from '../../../src/config/configError.js';
import type { StudentConfig } from '../../../src/config/student.js';
import type { Teacher } from '../../../src/contract/teacher.js';
import { openStore } from '../../program/openStore.js';
import type { Reporting } from '../reporting.js';

/** Begins digests that a student derives from what a server says. */
const DERIVED = 'oip:';

/**
 * The teacher itself if the config names no store, or the store's disk fails. `form`: what its replies are. Rejects with ConfigError
 * if the folder can't be used, or the teacher's digest doesn't tell its weights; the teacher stays open
 * then.
 */
export async function withStore(
  teacher: Teacher,
  form: ReplyForm,
  config: StudentConfig,
  { metrics, log, answeredFromStore }: Reporting,
): Promise<Teacher> {
  const { directory, maxMiB } = config.teacher.store;
  if (directory === null) return teacher;
  if (teacher.info.digest.startsWith(DERIVED)) {
    const message = `got ${directory}, but the teacher's digest, ${teacher.info.digest}, is derived from what its server says and doesn't change with the weights, so stored answers could be those of other weights; set teacher.oip.digest to the SHA-256 of the weights' file, or the model's parameter cirkd.digest on the server`;
    const fault = { key: 'teacher.store.directory', line: null, override: null, message };
    throw new ConfigError('student', [fault]);
  }
  const hooks: AnswerHooks = {
    ...metrics.store,
    onProblem: (message) => log.warn({ directory }, message),
  };
  const store = await openStore('student', 'teacher.store.directory', { directory, maxMiB, hooks });
  if (store === null) return teacher;
  const { accumulateSteps } = config.train;
  const onStored = ({ batch }: { readonly batch?: number }) => {
    if (batch !== undefined) answeredFromStore(Math.floor(batch / accumulateSteps));
  };
  return new StoredTeacher({ teacher, form, store, hooks, onStored });
}
