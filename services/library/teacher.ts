/** A teacher service inside a program. */
import type { TeacherConfig } from '../../src/config/teacher.js';
import { createLogger } from '../../src/telemetry/log.js';
import type { LineSink } from '../../src/telemetry/safeWriter.js';
import { type RunningTeacher, startService } from '../teacher/service.js';
import { prepareEngine } from './engine.js';

export interface TeacherOptions {
  /** Receives the log's lines, in the form set by `config.log`; default: `process.stderr`. */
  readonly log?: LineSink;
  /**
   * If aborted while the network loads, everything is closed and the promise rejects with the signal's
   * reason. Once the teacher serves, it has no effect: call `close()`.
   */
  readonly stop?: AbortSignal;
}

/**
 * Starts a teacher service in this process: opens its ports, loads the network in a thread and warms it
 * up. Resolves once it serves; health says NOT_SERVING until then. `cirkd teacher` does the same, prints
 * a line on standard output and handles signals, which are left to you here.
 *
 * For an image of height × width pixels (uint8, R G B) students get, at h = ceil(height / stride) and
 * w = ceil(width / stride), logits [h, w, classes], unit rows of the feature [h, w, channels] and their
 * norms [h, w], in an encoding of `config.encodings`; `info` has the numbers.
 *
 * Lifecycle: watch `died`, and finally call `close()`, which drains. A teacher that is never closed
 * keeps the process alive.
 *
 * Notes. TensorFlow is opened once per process: the first service's `threads` applies to all, and a
 * teacher and a student in one process share its threads; use separate processes if speed matters.
 * The first call adds TensorFlow's settings to `process.env` unless they are set, and changes V8's
 * heap growth for the whole process (answers are many MiB). The set-up must have run: `npx cirkd setup`.
 *
 * @param config from {@link teacherConfig} or {@link readTeacherConfig}, which check it; it isn't checked
 *   again here
 * @throws {BindError} the address of gRPC is taken or not this machine's
 * @throws {ListenError} the address of `/metrics` is taken or not this machine's
 * @throws {SecurityFileError} a certificate, key or token file can't be used
 * @throws {CheckpointError} a model file or graph can't be used
 * @throws {ProviderError} the library that runs the graph is missing
 * @throws {ConfigError} `CIRKD_GPU_MEMORY_MIB` isn't a positive whole number
 */
export async function startTeacher(
  config: TeacherConfig,
  { log: sink = process.stderr, stop }: TeacherOptions = {},
): Promise<RunningTeacher> {
  prepareEngine();
  const log = createLogger({ service: 'teacher', ...config.log, sink });
  return startService(config, { log, ...(stop ? { stop } : {}) });
}
