/** The teacher service as a program: its line on standard output, and the signals that end it. */
import type { TeacherConfig } from '../../src/config/teacher.js';
import { createLogger, type Logger } from '../../src/telemetry/log.js';
import { ThreadStuckError } from '../../src/threads/threadCalls.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import { type RunningTeacher, startService } from './service.js';

/**
 * Serves until SIGTERM or SIGINT, then resolves to 0. Rejects as startService() does, with the error
 * that ended the inference thread, or with an error of the drain.
 */
export async function runTeacher(config: TeacherConfig): Promise<number> {
  const log = createLogger({ service: 'teacher', ...config.log, sink: process.stderr });
  const stopped = stopSignal();
  const teacher = await startUnlessStopped(config, log, stopped);
  if (teacher === undefined) return 0;
  try {
    // The line that scripts wait for.
    const { address, socketAddress, metricsUrl, info } = teacher;
    const socket =
      socketAddress === null || socketAddress === address ? '' : `, socket ${socketAddress}`;
    process.stdout.write(
      `teacher ready: grpc ${address}${socket}, metrics ${metricsUrl ?? 'off'}, model ${info.model}, digest ${info.digest}\n`,
    );
    // Only the signal makes it reject.
    const death = await unlessAborted(teacher.died, stopped).catch(() => undefined);
    if (death) throw death;
    log.info({ reason: stopped.reason }, 'draining');
  } finally {
    await close(teacher, log);
  }
  return 0;
}

/** Undefined if the signal came before the network was loaded. */
async function startUnlessStopped(
  config: TeacherConfig,
  log: Logger,
  stopped: AbortSignal,
): Promise<RunningTeacher | undefined> {
  try {
    return await startService(config, { log, stop: stopped });
  } catch (error) {
    if (stopped.aborted && error === stopped.reason) return undefined;
    throw error;
  }
}

async function close(teacher: RunningTeacher, log: Logger): Promise<void> {
  try {
    await teacher.close();
  } catch (error) {
    if (!(error instanceof ThreadStuckError)) throw error;
    log.error({ error }, 'killing this process: it did not exit by itself');
    process.kill(process.pid, 'SIGKILL');
  }
}

/** Aborts on the first SIGTERM, SIGINT or SIGHUP; a second one ends the process as by default. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(signal, () => controller.abort(signal));
  }
  return controller.signal;
}
