/** A teacher service inside a program. */
import type { TeacherConfig } from '../../src/config/teacher.js';
import { createLogger } from '../../src/telemetry/log.js';
import type { LineSink } from '../../src/telemetry/safeWriter.js';
import { type RunningTeacher, startService } from '../teacher/service.js';
import { prepareEngine } from './engine.js';

export interface TeacherOptions {
  /** Takes the log's lines, as `config.log` says; default: `process.stderr`. */
  readonly log?: LineSink;
  /**
   * Aborted while the network loads, it ends the start: everything is closed and the promise rejects
   * with the signal's reason. Once the teacher serves it means nothing: call `close()`.
   */
  readonly stop?: AbortSignal;
}

/**
 * Starts a teacher service in this process: opens its ports, loads the network in a thread and warms it
 * up. Resolves once it serves; health says NOT_SERVING until then. `cirkd teacher` is this with a line
 * on standard output and SIGTERM: signals are yours here.
 *
 * For an image of height × width pixels (uint8, R G B) students get, at h = ceil(height / stride) and
 * w = ceil(width / stride), logits [h, w, classes], unit rows of the feature [h, w, channels] and their
 * norms [h, w], in an encoding of `config.encodings`; `info` has the numbers.
 *
 * Lifecycle: watch `died`, and call `close()` in the end, which drains. A teacher that is never closed
 * keeps the process alive.
 *
 * Things to know. TensorFlow is opened once in a process: the first service's `threads` count for all,
 * and a teacher and a student in one process share its threads; give each a process where time matters.
 * The first call adds TensorFlow's settings to `process.env` where they are not set, and changes V8's
 * heap growth for the whole process (answers are many MiB). The set-up must have run: `npx cirkd setup`.
 *
 * @param config of {@link teacherConfig} or {@link readTeacherConfig}; an object that these have not
 *   checked is not checked here
 * @throws {BindError} the address of gRPC is taken or not this machine's
 * @throws {ListenError} that of `/metrics` is
 * @throws {SecurityFileError} a certificate, key or token file can't be used
 * @throws {CheckpointError} a model file or graph can't be used
 * @throws {ProviderError} what runs the graph is not there
 * @throws {ConfigError} `CIRKD_GPU_MEMORY_MIB` is no positive whole number
 */
export async function startTeacher(
  config: TeacherConfig,
  { log: sink = process.stderr, stop }: TeacherOptions = {},
): Promise<RunningTeacher> {
  prepareEngine();
  const log = createLogger({ service: 'teacher', ...config.log, sink });
  return startService(config, { log, ...(stop ? { stop } : {}) });
}
