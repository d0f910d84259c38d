/** Opens the answers that a teacher keeps, and reports on them to metrics and log. */
import { AnswerCache } from '../../src/answers/answerCache.js';
import type { AnswerHooks } from '../../src/answers/answerHooks.js';
import type { TeacherConfig } from '../../src/config/teacher.js';
import type { Logger } from '../../src/telemetry/log.js';
import type { TeacherMetrics } from '../../src/telemetry/teacherMetrics.js';
import { openStore } from '../program/openStore.js';

/** null if the config keeps none, or only on a disk that fails. Rejects with ConfigError if the folder can't be used. */
export async function openAnswerCache(
  { cache }: TeacherConfig,
  metrics: TeacherMetrics,
  log: Logger,
): Promise<AnswerCache | null> {
  const { memoryMiB, directory, maxMiB } = cache;
  if (memoryMiB === 0 && directory === null) return null;
  const hooks: AnswerHooks = {
    ...metrics.cache,
    onProblem: (message) => log.warn({ directory }, message),
  };
  const store =
    directory === null
      ? null
      : await openStore('teacher', 'cache.directory', { directory, maxMiB, hooks });
  if (memoryMiB === 0 && store === null) return null;
  return new AnswerCache({ memoryBytes: memoryMiB * 2 ** 20, store, hooks });
}
