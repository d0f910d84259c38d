/** A gRPC server with a readable bind error, bounded connections and a shutdown that ends. */
import { createServer, type Server as NetServer } from 'node:net';
import {
  type ChannelOptions,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { hostAndPort } from '../contract/hostAddress.js';
import { BindError } from './bindError.js';
import { listenersOf, nameConnections, sendParts } from './grpcInternals.js';
import { listenOnUnixSocket, type UnixSocket } from './unixSocket.js';

export interface RpcServerOptions {
  /** Host or IP address to listen on. */
  readonly host: string;
  /** 0 takes a free port; `bind` resolves with it. */
  readonly port: number;
  /** Largest message that a peer may send. */
  readonly maxReceiveBytes: number;
  readonly credentials?: ServerCredentials;
  readonly interceptors?: readonly ServerInterceptor[];
  /** A peer that is silent for this long is pinged; if it doesn't answer, its calls are cancelled. */
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
  /** Concurrent calls per connection. Default 100. */
  readonly maxConnectionCalls?: number;
  /** Concurrent connections, from all peers together; more are closed at once. Default 256. */
  readonly maxConnections?: number;
  /** A connection beyond maxConnections was closed; called at most once per minute. */
  readonly onConnectionsFull?: () => void;
}

/** An idle connection is closed after this time: anyone can open connections. */
const MAX_IDLE_MS = 60_000;

const FULL_REPORT_INTERVAL_MS = 60_000;

export class RpcServer {
  readonly #server: Server;
  readonly #options: RpcServerOptions;
  #unixListener: NetServer | undefined;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    const channelOptions: ChannelOptions = {
      'grpc.max_receive_message_length': options.maxReceiveBytes,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': options.maxConnectionCalls ?? 100,
      'grpc.keepalive_time_ms': options.keepaliveTimeMs ?? 30_000,
      'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? 10_000,
      'grpc.max_connection_idle_ms': MAX_IDLE_MS,
      // Nobody asks for its counts, which cost each call several objects.
      'grpc.enable_channelz': 0,
    };
    this.#server = new Server({
      ...channelOptions,
      interceptors: [sendParts, ...(options.interceptors ?? [])],
    });
  }

  addService(definition: ServiceDefinition, handlers: UntypedServiceImplementation): void {
    this.#server.addService(definition, handlers);
  }

  /** The server below, for libraries that add a service of their own. */
  get raw(): Server {
    return this.#server;
  }

  /** Starts to listen on host and port, and resolves with the actual port. Rejects with BindError. */
  bind(): Promise<number> {
    const { host, port } = this.#options;
    const address = hostAndPort(host, port);
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, this.#credentials, (error, actualPort) => {
        if (error) {
          reject(new BindError(address, error));
          return;
        }
        for (const listener of listenersOf(this.#server)) this.#limitConnections(listener);
        resolve(actualPort);
      });
    });
  }

  /**
   * Starts to listen on a Unix socket; `bind` may have been called before, or not at all. The limits are
   * those of a port, each counts its own connections. Peers are called by the socket's address and the
   * connection's number. Rejects with BindError.
   */
  async bindSocket(socket: UnixSocket): Promise<void> {
    // Not with bindAsync: the listener is ours, so that the file never has other permissions.
    const injector = this.#server.createConnectionInjector(this.#credentials);
    let connections = 0;
    nameConnections(listenersOf(this.#server).at(-1)!, () => `${socket.address}#${++connections}`);
    const listener = createServer((connection) => injector.injectConnection(connection));
    await listenOnUnixSocket(listener, socket);
    // A connection that could not be accepted (out of file descriptors): its client tries again.
    listener.on('error', () => {});
    this.#limitConnections(listener);
    this.#unixListener = listener;
  }

  get #credentials(): ServerCredentials {
    return this.#options.credentials ?? ServerCredentials.createInsecure();
  }

  #limitConnections(listener: NetServer): void {
    const { maxConnections = 256, onConnectionsFull } = this.#options;
    let reportedAtMs = Number.NEGATIVE_INFINITY;
    listener.maxConnections = maxConnections;
    listener.on('drop', () => {
      if (performance.now() - reportedAtMs < FULL_REPORT_INTERVAL_MS) return;
      reportedAtMs = performance.now();
      onConnectionsFull?.();
    });
  }

  /**
   * Accepts no new calls, tells connected peers (GOAWAY), waits at most `graceMs` for running calls,
   * then cuts the rest. Resolves with whether every call ended by itself.
   */
  async shutdown(graceMs: number): Promise<'drained' | 'forced'> {
    let timer: NodeJS.Timeout | undefined;
    this.#unixListener?.close();
    const drained = new Promise<'drained'>((resolve) => {
      this.#server.tryShutdown(() => resolve('drained'));
    });
    const late = new Promise<'forced'>((resolve) => {
      timer = setTimeout(() => resolve('forced'), graceMs);
    });
    const outcome = await Promise.race([drained, late]);
    clearTimeout(timer);
    this.#server.forceShutdown();
    return outcome;
  }
}
