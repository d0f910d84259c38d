/**
 * The student trainer: image+label → augment → wire → teacher → wire → student net → losses ⇄ banks
 * → update → metrics, checkpoint, report.
 */
import type { StudentConfig } from '../../src/config/student.js';
import { discardRunFolder } from '../../src/run/runFolder.js';
import type { ProgressStream } from '../../src/telemetry/progress.js';
import { StopAgreedError } from '../../src/train/loop.js';
import { withClassWeights } from './classWeights.js';
import { setEngineEnvironment } from './computeProtocol.js';
import { runFollower } from './group/followerRun.js';
import { isFollower } from './group/membership.js';
import { type OpenedRun, openRun } from './openRun.js';
import { StudentRun } from './studentRun.js';
import { openRunData, type RunData } from './trainingData.js';

export interface StudentOptions {
  readonly resume: boolean;
  /** Receives progress and log lines. */
  readonly stream: ProgressStream;
  /** Abort it to stop the run after the current step, with its state saved. */
  readonly stop: AbortSignal;
}

export interface StudentEnd {
  /** 'stopped': by the signal, with the state saved. */
  readonly ended: 'finished' | 'stopped';
  /** null: stopped before it began, leaving no folder; or rank 0 of the group has it. */
  readonly folder: string | null;
}

/**
 * Runs to the last step. Throws the errors that the exit codes stand for; if training had begun, the
 * state after the last complete step is saved first. A new run that is refused or stopped before it
 * begins leaves no folder.
 */
export async function runStudent(
  given: StudentConfig,
  options: StudentOptions,
): Promise<StudentEnd> {
  const data = openRunData(given);
  const config = withClassWeights(given, data.train);
  if (isFollower(config)) return { ended: await runFollower(config, data, options), folder: null };
  const notes: string[] = [];
  const opened = await openRun(config, options.resume, (message) => notes.push(message));
  try {
    setEngineEnvironment(opened.config);
    const run = await begin(opened, data, notes, options);
    if (run === null) {
      return { ended: 'stopped', folder: opened.isNew ? null : opened.folder.path };
    }
    try {
      return { ended: await run.train(), folder: opened.folder.path };
    } finally {
      await run.close();
    }
  } finally {
    await opened.lock.release();
  }
}

/** null: stopped before it began. */
async function begin(
  opened: OpenedRun,
  data: RunData,
  notes: readonly string[],
  { stream, stop }: StudentOptions,
): Promise<StudentRun | null> {
  try {
    return await StudentRun.begin(opened, { data, notes, stream, stop });
  } catch (error) {
    if (opened.isNew) await discardRunFolder(opened.folder);
    if (stop.aborted && error === stop.reason) return null;
    if (error instanceof StopAgreedError) return null;
    throw error;
  }
}
