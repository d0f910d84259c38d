/**
 * The teacher's gRPC server: Distill and GetTeacher, health, reflection. It listens before there
 * is an engine, so that probes see NOT_SERVING while a network loads.
 */
import type { ServerCredentials, ServerInterceptor } from '@grpc/grpc-js';
import type { AnswerCache } from '../../answers/answerCache.js';
import type { Encoding } from '../../contract/outputs.js';
import { onCallEnd } from '../../rpc/callEnd.js';
import { GrpcStatus, RpcError } from '../../rpc/errors.js';
import { duplexHandler, unaryHandler } from '../../rpc/handlers.js';
import { Health, healthPackageDefinition } from '../../rpc/health.js';
import { addReflection } from '../../rpc/reflection.js';
import { RpcServer } from '../../rpc/server.js';
import type { UnixSocket } from '../../rpc/unixSocket.js';
import {
  PROTOCOL_VERSION,
  TEACHER_SERVICE_NAME,
  teacherPackageDefinition,
} from '../codec/teacherService.js';
import type { GetTeacherRequest } from '../generated/cirkd/teacher/v1/GetTeacherRequest.js';
import type { GetTeacherResponseInput } from '../generated/cirkd/teacher/v1/GetTeacherResponse.js';
import { AnswerBudget } from './answerRoom.js';
import { CachedQueue } from './cachedQueue.js';
import { teacherInfoToWire } from './hello.js';
import type { HostedService } from './hostedService.js';
import type { Serving } from './imageRequests.js';
import { teacherServerDefinition } from './messages.js';
import { type BatchPolicy, RequestQueue } from './requestQueue.js';
import {
  type InferenceEngine,
  limitsToWire,
  type ServerLimits,
  type TeacherServerHooks,
} from './serving.js';
import { type DistillCall, ServerSession } from './session.js';

/** The fixed options of a server. */
export interface TeacherServerOptions {
  readonly host: string;
  /** 0: any free port, null: none. */
  readonly port: number | null;
  /** A Unix socket with all services, in addition to the port or instead of it. Default: none. */
  readonly socket?: UnixSocket | null;
  readonly limits: ServerLimits;
  readonly encodings: readonly Encoding[];
  readonly batch: BatchPolicy;
  readonly hooks: TeacherServerHooks;
  /** Default: plaintext. */
  readonly credentials?: ServerCredentials;
  readonly interceptors?: readonly ServerInterceptor[];
  /** Services beside the teacher's on the same port. Default: none. */
  readonly services?: readonly HostedService[];
  /** A second port that serves only health, in plaintext; 0: any free one, null: none. */
  readonly healthPort?: number | null;
  /** Answers kept for images that come again; the caller closes it, after the server. Default: none. */
  readonly answerCache?: AnswerCache | null;
  /** For fault injection: see Serving. */
  readonly tapChunks?: Serving['tapChunks'];
}

/** The ports that a server listens on. */
export interface TeacherPorts {
  /** null: only the Unix socket. */
  readonly port: number | null;
  /** null: health is served only with the other services. */
  readonly healthPort: number | null;
}

/** How long calls other than Distill (a health watch) may keep a drained server alive. */
const OTHER_CALLS_GRACE_MS = 500;

/** Calls reserved for health, reflection and GetTeacher if a proxy shares one connection among students. */
const OTHER_CALLS = 16;

/** Connections beyond those of the current streams and of the streams that are about to replace them. */
const OTHER_CONNECTIONS = 64;

/** Enough for the name of a service. */
const MAX_HEALTH_REQUEST_BYTES = 4096;

/**
 * One server in three states. From `listen()` on it is *loading*: health says NOT_SERVING, and a
 * Distill stream ends UNAVAILABLE. `serve()` makes it *serving*. `drain()` makes it *draining*, for
 * good: new streams end UNAVAILABLE, new images of open ones get ERROR_REASON_DRAINING.
 *
 * Call each once, in this order. A server may be drained before it serves, and then never does.
 */
export class TeacherServer {
  readonly #options: TeacherServerOptions;
  readonly #rpc: RpcServer;
  readonly #healthRpc: RpcServer | undefined;
  readonly #health: Health;
  readonly #services: readonly HostedService[];
  readonly #sessions = new Set<ServerSession>();
  /** Streams that hold memory: open ones, and ended ones that the client hasn't read to the end. */
  #streams = 0;
  #serving: Serving | undefined;
  #draining = false;
  #onLastSessionEnd: (() => void) | undefined;

  constructor(options: TeacherServerOptions) {
    this.#options = options;
    this.#services = options.services ?? [];
    this.#health = new Health([TEACHER_SERVICE_NAME, ...this.#services.map(({ name }) => name)]);
    this.#rpc = new RpcServer({
      host: options.host,
      port: options.port ?? 0,
      maxReceiveBytes: options.limits.maxMessageBytes,
      maxConnectionCalls: options.limits.maxStreams + OTHER_CALLS,
      ...connectionLimit(options),
      interceptors: [
        ...(options.interceptors ?? []),
        ...this.#services.flatMap(({ interceptors }) => interceptors),
      ],
      ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    });
    const report = (error: unknown) => {
      options.hooks.onEvent('error', 'unexpected error in a call', { error });
    };
    this.#rpc.addService(teacherServerDefinition(), {
      Distill: duplexHandler(
        (call: DistillCall) => this.#distill(call),
        report,
        options.limits.closeGraceMs,
      ),
      GetTeacher: unaryHandler<GetTeacherRequest, GetTeacherResponseInput>(
        async () => this.#getTeacher(),
        report,
      ),
    });
    for (const { definition, handlers } of this.#services) {
      this.#rpc.addService(definition, handlers);
    }
    this.#health.addTo(this.#rpc);
    this.#healthRpc = healthServer(options);
    if (this.#healthRpc !== undefined) this.#health.addTo(this.#healthRpc);
    const hosted = this.#services.map(({ packageDefinition }) => packageDefinition);
    addReflection(this.#rpc, teacherPackageDefinition, ...hosted, healthPackageDefinition());
  }

  /** Starts to listen, not yet serving. Rejects with BindError. */
  async listen(): Promise<TeacherPorts> {
    const { port: wanted, socket = null } = this.#options;
    const port = wanted === null ? null : await this.#rpc.bind();
    if (socket !== null) await this.#rpc.bindSocket(socket);
    return { port, healthPort: (await this.#healthRpc?.bind()) ?? null };
  }

  /** Starts to answer images; health says SERVING. */
  serve(engine: InferenceEngine): void {
    const { limits, encodings, batch, hooks, tapChunks } = this.#options;
    const bounds = { maxImages: limits.maxQueueImages, maxBytes: limits.maxQueueBytes };
    const computing = new RequestQueue(engine, bounds, batch, this.#queueHooks());
    const { answerCache = null } = this.#options;
    const cachesAnswers = answerCache !== null;
    const queue = cachesAnswers ? new CachedQueue(computing, answerCache, engine.info) : computing;
    const answers = new AnswerBudget(limits.maxAnswerBytes, (bytes) => hooks.onAnswerBytes(bytes));
    const serving = {
      ...{ engine, queue, cachesAnswers, answers },
      ...{ limits, encodings, hooks, tapChunks },
    };
    this.#serving = serving;
    for (const service of this.#services) service.serve(serving);
    this.#health.setServing(!this.#draining);
  }

  /**
   * Sets health to NOT_SERVING, tells the clients, answers accepted images for at most `drainMs`, then
   * closes every connection. Resolves with whether every accepted image was answered.
   */
  async drain(drainMs: number): Promise<'drained' | 'forced'> {
    this.#draining = true;
    this.#health.setServing(false);
    const lastSessionEnd = new Promise<void>((resolve) => {
      this.#onLastSessionEnd = resolve;
      if (this.#sessions.size === 0) resolve();
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), drainMs);
    });
    const hosted = this.#services.map((service) => service.drain());
    for (const session of this.#sessions) session.drain(drainMs);
    const outcome = await Promise.race([Promise.all([lastSessionEnd, ...hosted]), late]);
    clearTimeout(timer);
    for (const session of this.#sessions) session.stop();
    for (const service of this.#services) service.stop();
    await this.#rpc.shutdown(OTHER_CALLS_GRACE_MS);
    // Last, so that probes see NOT_SERVING and not a refused connection.
    await this.#healthRpc?.shutdown(OTHER_CALLS_GRACE_MS);
    return outcome === 'late' ? 'forced' : 'drained';
  }

  async #distill(call: DistillCall): Promise<void> {
    const serving = this.#requireServing();
    const { maxStreams } = serving.limits;
    if (this.#streams >= maxStreams) {
      const code = 'RESOURCE_EXHAUSTED';
      serving.hooks.onEvent('warn', 'stream refused', { peer: call.getPeer(), code, maxStreams });
      throw new RpcError(
        GrpcStatus.RESOURCE_EXHAUSTED,
        `${maxStreams} streams are open; this server accepts no more`,
      );
    }
    const session = new ServerSession(call, serving);
    this.#sessions.add(session);
    serving.hooks.onStreams(++this.#streams);
    onCallEnd(call, () => serving.hooks.onStreams(--this.#streams));
    try {
      await session.run();
    } finally {
      this.#sessions.delete(session);
      if (this.#sessions.size === 0) this.#onLastSessionEnd?.();
    }
  }

  #getTeacher(): GetTeacherResponseInput {
    const { engine, encodings, limits } = this.#requireServing();
    return {
      teacher: teacherInfoToWire(engine.info, encodings),
      limits: limitsToWire(limits),
      protocolVersion: PROTOCOL_VERSION,
    };
  }

  #queueHooks(): TeacherServerHooks {
    const { hooks } = this.#options;
    if (this.#services.length === 0) return hooks;
    return {
      ...hooks,
      onBatch: (report) => {
        hooks.onBatch(report);
        for (const service of this.#services) service.onBatch(report);
      },
    };
  }

  #requireServing(): Serving {
    if (this.#draining) {
      throw new RpcError(GrpcStatus.UNAVAILABLE, 'the server is shutting down');
    }
    if (!this.#serving) {
      throw new RpcError(GrpcStatus.UNAVAILABLE, 'the teacher is still loading');
    }
    return this.#serving;
  }
}

function connectionLimit({ limits, hooks }: TeacherServerOptions) {
  const maxConnections = 4 * limits.maxStreams + OTHER_CONNECTIONS;
  return {
    maxConnections,
    onConnectionsFull: () => hooks.onEvent('warn', 'connections refused', { maxConnections }),
  };
}

function healthServer({ host, healthPort = null }: TeacherServerOptions): RpcServer | undefined {
  if (healthPort === null) return undefined;
  return new RpcServer({ host, port: healthPort, maxReceiveBytes: MAX_HEALTH_REQUEST_BYTES });
}
