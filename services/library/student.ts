/** A student's run inside a program. */
import type { StudentConfig } from '../../src/config/student.js';
import type { ProgressStream } from '../../src/telemetry/progress.js';
import { type StudentEnd, runStudent as runService } from '../student/main.js';
import { prepareEngine } from './engine.js';

export interface StudentOptions {
  /**
   * Whether to resume from the newest complete checkpoint of `run.id`, or from the start if there is none.
   * Default: false; an existing folder is then refused.
   */
  readonly resume?: boolean;
  /** Receives progress and log: a bar on a terminal, else lines. Default: `process.stderr`. */
  readonly progress?: ProgressStream;
  /** If aborted, the run ends after the current step with its state saved. */
  readonly stop?: AbortSignal;
}

/**
 * Trains a student in this process, to the last step or until `stop`: with teachers
 * (`teacher.addresses`), or on labels alone. The network computes in a thread. Resolves with how it
 * ended and the run's folder, which has `config.yaml`, `events.jsonl`, `checkpoints/` and, once
 * finished, `summary.json` (mIoU, IoU of each class), `report.html` and `report.png`. `cirkd student`
 * does the same and handles signals, which are left to you here.
 *
 * If training had begun, an error leaves the state after the last complete step saved. A new run that is
 * refused or stopped before it begins leaves no folder. Only one process at a time can use a run's folder.
 *
 * Notes. A run is bit-for-bit reproducible only with the same `train.threads`; TensorFlow is opened once
 * per process, so later runs in it use the first run's value. The first call adds TensorFlow's
 * settings to `process.env` unless they are set, and changes V8's heap growth for the
 * whole process. The set-up must have run: `npx cirkd setup`.
 *
 * @param config from {@link studentConfig} or {@link readStudentConfig}, which check it; it isn't checked
 *   again here
 * @throws {ConfigError} a changed key that a resumed run can't change, a name that can't be looked up
 * @throws {RunFolderError} the folder is there already, in use, or can't be written
 * @throws {ListenError} the address of `/metrics` is taken
 * @throws {SecurityFileError} a certificate, key or token file can't be used
 * @throws {TeacherUnavailableError} no teacher answered for `teacher.teacherTimeoutMs`
 * @throws {ContractMismatchError} no teacher fits the student: classes, stride, digest
 * @throws {ImageRefusedError} a teacher refuses the run's images
 * @throws {CheckpointError} weights or checkpoint can't be used
 * @throws {NonFiniteLossError} a loss or gradient is not finite; the last good state is saved
 * @throws {NonFiniteReplyError} a teacher's answer is not finite, twice for one image
 * @throws {RankLostError} another rank of `distributed.workers` ended, doesn't answer or is late
 * @throws {RankMismatchError} the ranks differ in config, version or data
 * @throws {DataError} a corrupt image, a label out of range, a missing file
 */
export async function runStudent(
  config: StudentConfig,
  options: StudentOptions = {},
): Promise<StudentEnd> {
  prepareEngine();
  const {
    resume = false,
    progress = process.stderr,
    stop = new AbortController().signal,
  } = options;
  return runService(config, { resume, stream: progress, stop });
}
