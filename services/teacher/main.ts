/**
 * The teacher service:
 *
 *     listen → load and warm up (thread) → serve → signal → drain → close
 *
 * The main thread does network and HTTP; the network computes in a thread of its own.
 */
import type { TeacherConfig } from '../../src/config/teacher.js';
import { callObserver } from '../../src/rpc/callObserver.js';
import { grpcCodeName } from '../../src/rpc/errors.js';
import { TeacherServer } from '../../src/stream/server/teacherServer.js';
import { createLogger, type Logger } from '../../src/telemetry/log.js';
import { type MetricsServer, startMetricsServer } from '../../src/telemetry/metricsServer.js';
import { createTeacherMetrics, type TeacherMetrics } from '../../src/telemetry/teacherMetrics.js';
import { ThreadStuckError } from '../../src/threads/threadCalls.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import { teacherHooks } from './hooks.js';
import { maxBatchMs, serverLimits, workerSetup } from './options.js';
import { openSecurity } from './security.js';
import { wireFaults } from './wireFaults.js';
import { WorkerEngine } from './workerEngine.js';

/**
 * Serves until SIGTERM or SIGINT, then resolves to 0. Rejects with BindError or ListenError (an
 * address is taken), SecurityFileError, CheckpointError, what ended the inference thread, or what went wrong with the
 * drain.
 */
export async function runTeacher(config: TeacherConfig): Promise<number> {
  const log = createLogger({ service: 'teacher', ...config.log, sink: process.stderr });
  const metrics = createTeacherMetrics();
  const stopped = stopSignal();
  log.info({ config }, 'config');
  await serveUntilStopped(config, metrics, log, stopped);
  return 0;
}

async function serveUntilStopped(
  config: TeacherConfig,
  metrics: TeacherMetrics,
  log: Logger,
  stopped: AbortSignal,
): Promise<void> {
  const { host, port, healthPort } = config.listen;
  const security = await openSecurity(config.listen, metrics, log);
  const server = new TeacherServer({
    ...{ host, port, healthPort },
    credentials: security.credentials,
    limits: serverLimits(config),
    encodings: config.encodings,
    batch: config.batch,
    hooks: teacherHooks(metrics, log),
    tapChunks: wireFaults(config.faults),
    interceptors: [
      callObserver({
        onEnd: (method, code, seconds) =>
          log.debug({ method, code: grpcCodeName(code), seconds }, 'call ended'),
      }),
      ...security.interceptors,
    ],
  });
  let metricsServer: MetricsServer | undefined;
  let engine: WorkerEngine | undefined;
  try {
    const ports = await server.listen();
    const grpc = addressText(host, ports.port);
    const health = ports.healthPort === null ? grpc : addressText(host, ports.healthPort);
    metricsServer = await startMetrics(config, metrics);
    const metricsUrl = metricsServer?.url ?? 'off';
    log.info({ grpc, metrics: metricsUrl, health }, 'listening; loading the network');
    engine = await loadEngine(config, stopped);
    if (engine === undefined) return;
    metrics.setDigest(engine.info.digest);
    server.serve(engine);
    // The line that scripts wait for.
    const { model, digest } = engine.info;
    process.stdout.write(
      `teacher ready: grpc ${grpc}, metrics ${metricsUrl}, model ${model}, digest ${digest}\n`,
    );
    // Only the signal makes it reject.
    const death = await unlessAborted(engine.died, stopped).catch(() => undefined);
    if (death) throw death;
    log.info({ reason: stopped.reason }, 'draining');
  } finally {
    try {
      log.info({ outcome: await server.drain(config.drainMs) }, 'stopped');
    } finally {
      security.close();
      await metricsServer?.close();
      if (engine) await closeEngine(engine, log);
    }
  }
}

/** Undefined when the signal came before the network was there. */
async function loadEngine(
  config: TeacherConfig,
  stopped: AbortSignal,
): Promise<WorkerEngine | undefined> {
  try {
    return await WorkerEngine.start(workerSetup(config), maxBatchMs(config), stopped);
  } catch (error) {
    if (stopped.aborted) return undefined;
    throw error;
  }
}

async function closeEngine(engine: WorkerEngine, log: Logger): Promise<void> {
  try {
    await engine.close();
  } catch (error) {
    if (!(error instanceof ThreadStuckError)) throw error;
    log.error({ error }, 'killing this process: it could not end otherwise');
    process.kill(process.pid, 'SIGKILL');
  }
}

async function startMetrics(
  config: TeacherConfig,
  { registry }: TeacherMetrics,
): Promise<MetricsServer | undefined> {
  const { host, port } = config.metrics;
  return port === null ? undefined : startMetricsServer({ registry, host, port });
}

function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Aborts on the first SIGTERM or SIGINT; a second one ends the process as it always does. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => controller.abort(signal));
  }
  return controller.signal;
}
