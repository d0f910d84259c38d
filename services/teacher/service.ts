/**
 * A teacher service in this process:
 *
 *     listen → load and warm up (thread) → serve → close: drain, end the thread
 *
 * The main thread serves gRPC and HTTP; the network computes in a thread of its own. Signals and
 * standard output are left to the caller.
 */
import { chosenProcessors, threadsOn } from '../program/processors.js';
import { followCpuQuota } from '../program/threadLimit.js';
import type { TeacherConfig } from '../../src/config/teacher.js';
import { hostAndPort } from '../../src/contract/hostAddress.js';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import type { AnswerCache } from '../../src/answers/answerCache.js';
import { TeacherInferenceService } from '../../src/oip/server/inferenceService.js';
import { callObserver } from '../../src/rpc/callObserver.js';
import { grpcCodeName } from '../../src/rpc/errors.js';
import type { ServerSecurity } from '../../src/rpc/security/serverSecurity.js';
import type { HostedService } from '../../src/stream/server/hostedService.js';
import { type TeacherPorts, TeacherServer } from '../../src/stream/server/teacherServer.js';
import type { Logger } from '../../src/telemetry/log.js';
import { type MetricsServer, startMetricsServer } from '../../src/telemetry/metricsServer.js';
import { createTeacherMetrics, type TeacherMetrics } from '../../src/telemetry/teacherMetrics.js';
import { packageVersion } from '../program/packageVersion.js';
import { openAnswerCache } from './answerCache.js';
import { oipHooks, teacherHooks } from './hooks.js';
import { maxBatchMs, serverLimits, workerSetup } from './options.js';
import { openSecurity } from './security.js';
import { wireFaults } from './wireFaults.js';
import { WorkerEngine } from './workerEngine.js';
import type { WorkerSetup } from './workerProtocol.js';

/** A serving teacher. It keeps its process alive until it is closed. */
export interface RunningTeacher {
  /**
   * gRPC: the teacher service, reflection and, without a port of its own, health. `host:port`, or that of the
   * Unix socket if `listen.port` is null.
   */
  readonly address: string;
  /** The Unix socket with the same services, `unix:path`; null if `listen.socket` is null. */
  readonly socketAddress: string | null;
  /** `grpc.health.v1`: `address` unless `listen.healthPort` is set. */
  readonly healthAddress: string;
  /** URL of the Prometheus metrics; null if `metrics.port` is null. */
  readonly metricsUrl: string | null;
  /** The contract that students see: digest, classes, channels, stride, normalisation. */
  readonly info: TeacherInfo;
  /**
   * Resolves with the reason if the thread with the network ends by itself, and never rejects. From then
   * on no image is answered; call `close()`.
   */
  readonly died: Promise<Error>;
  /**
   * Takes no new images, answers accepted ones for at most `drainMs`, then ends everything.
   * `forced`: the time ran out before all were answered. Every further call returns the first one's
   * promise. Rejects with ThreadStuckError if the thread is inside native code and can't be ended:
   * then only the end of the process ends it.
   */
  close(): Promise<'drained' | 'forced'>;
}

export interface ServiceOptions {
  readonly log: Logger;
  /** If aborted while the network loads, everything is closed and the start rejects with the reason. */
  readonly stop?: AbortSignal;
}

/** Who may connect to a Unix socket is who may write to its file. */
const SOCKET_MODES = { user: 0o600, group: 0o660, everyone: 0o666 } as const;

/** The open parts, in order of opening. */
interface Parts {
  readonly server: TeacherServer;
  readonly security: ServerSecurity;
  readonly answerCache: AnswerCache | null;
  metricsServer: MetricsServer | undefined;
  engine: WorkerEngine | undefined;
}

/**
 * Resolves once the teacher serves. Rejects with BindError or ListenError (an address is taken),
 * SecurityFileError, ProcessorsError, CheckpointError, ProviderError, or the error that ended the inference thread;
 * nothing is left open then.
 */
export async function startService(
  config: TeacherConfig,
  { log, stop }: ServiceOptions,
): Promise<RunningTeacher> {
  const processors = chosenProcessors(config.cpus);
  const threads = threadsOn(processors, config.threads);
  // TensorFlow reads it when the inference thread opens it.
  if (threads > 0) process.env.TF_NUM_INTRAOP_THREADS = String(threads);
  else followCpuQuota();
  log.info({ config }, 'config');
  const metrics = createTeacherMetrics();
  const parts = await openParts(config, metrics, log);
  const close = once(() => closeParts(parts, config.drainMs, log));
  try {
    const addresses = listenAddresses(config.listen, await parts.server.listen());
    parts.metricsServer = await startMetrics(config, metrics);
    const metricsUrl = parts.metricsServer?.url ?? null;
    log.info(
      {
        ...{ grpc: addresses.address, metrics: metricsUrl ?? 'off' },
        ...{ health: addresses.healthAddress, socket: addresses.socketAddress ?? 'off' },
      },
      'listening; loading the network',
    );
    const engine = await loadEngine(config, workerSetup(config, processors, threads), stop);
    parts.engine = engine;
    const { info, died, computes } = engine;
    const { model, digest, numericMode } = info;
    log.info({ model, digest, numericMode, computes }, 'network loaded');
    metrics.setNetwork(digest, numericMode);
    parts.server.serve(engine);
    return { ...addresses, metricsUrl, info, died, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openParts(
  config: TeacherConfig,
  metrics: TeacherMetrics,
  log: Logger,
): Promise<Parts> {
  const { host, port, healthPort, socket, socketAccess } = config.listen;
  const answerCache = await openAnswerCache(config, metrics, log);
  const security = await openSecurity(config.listen, metrics, log).catch(async (error) => {
    await answerCache?.close();
    throw error;
  });
  const server = new TeacherServer({
    ...{ host, port, healthPort },
    socket: socket === null ? null : { address: socket, mode: SOCKET_MODES[socketAccess] },
    credentials: security.credentials,
    limits: serverLimits(config),
    encodings: config.encodings,
    batch: config.batch,
    hooks: teacherHooks(metrics, log),
    tapChunks: wireFaults(config.faults),
    services: inferenceServices(config, metrics, log),
    answerCache,
    interceptors: [
      callObserver({
        onEnd: (method, code, seconds) =>
          log.debug({ method, code: grpcCodeName(code), seconds }, 'call ended'),
      }),
      ...security.interceptors,
    ],
  });
  return { server, security, answerCache, metricsServer: undefined, engine: undefined };
}

/** The Open Inference Protocol, unless it is switched off. */
function inferenceServices(
  config: TeacherConfig,
  metrics: TeacherMetrics,
  log: Logger,
): HostedService[] {
  const { oip, encodings, batch } = config;
  if (!oip.enabled) return [];
  const service = new TeacherInferenceService({
    ...{ modelName: oip.modelName, serverVersion: packageVersion(), encodings, batch },
    limits: serverLimits(config),
    ...oipHooks(metrics, log),
  });
  return [service];
}

async function closeParts(
  parts: Parts,
  drainMs: number,
  log: Logger,
): Promise<'drained' | 'forced'> {
  try {
    const outcome = await parts.server.drain(drainMs);
    log.info({ outcome }, 'stopped');
    return outcome;
  } finally {
    parts.security.close();
    await parts.metricsServer?.close();
    await parts.answerCache?.close();
    await parts.engine?.close();
  }
}

async function loadEngine(
  config: TeacherConfig,
  setup: WorkerSetup,
  stop?: AbortSignal,
): Promise<WorkerEngine> {
  try {
    return await WorkerEngine.start(setup, maxBatchMs(config), stop);
  } catch (error) {
    throw stop?.aborted ? stop.reason : error;
  }
}

async function startMetrics(
  config: TeacherConfig,
  { registry }: TeacherMetrics,
): Promise<MetricsServer | undefined> {
  const { host, port } = config.metrics;
  return port === null ? undefined : startMetricsServer({ registry, host, port });
}

/** Where the server listens, as students and probes take it. */
function listenAddresses(
  { host, socket }: TeacherConfig['listen'],
  { port, healthPort }: TeacherPorts,
): Pick<RunningTeacher, 'address' | 'socketAddress' | 'healthAddress'> {
  // A config has at least one of the two.
  const address = port === null ? socket! : hostAndPort(host, port);
  const healthAddress = healthPort === null ? address : hostAndPort(host, healthPort);
  return { address, socketAddress: socket, healthAddress };
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return () => {
    begun ??= work();
    return begun;
  };
}
