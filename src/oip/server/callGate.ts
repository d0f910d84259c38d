/**
 * Bounds the inference calls that may have a message in memory, before it is read: a call beyond the
 * bounds waits, and HTTP/2's flow control makes its client wait, too. So a client with many calls at
 * once, as Triton's have, gets all its answers, and a server's memory doesn't depend on their number.
 */
import type {
  Metadata,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
  ServerInterceptor,
} from '@grpc/grpc-js';
import { CallLayer } from '../../rpc/calls/callLayer.js';
import { type GrpcCode, GrpcStatus, type RpcError } from '../../rpc/errors.js';
import { stopping, timedOut } from './modelErrors.js';

export interface GateLimits {
  /** Calls let through, over all connections. A connection may always have one. */
  readonly maxCalls: number;
  readonly maxConnectionCalls: number;
  /** Limit for waiting and sending the message together. */
  readonly timeoutMs: number;
  /** A call has ended before its message was read: refused here, or given up. */
  readonly onUnread: (code: GrpcCode, seconds: number) => void;
}

interface Entry {
  admit(): void;
  refuse(error: RpcError): void;
}

interface Connection {
  admitted: number;
  readonly waiting: Set<Entry>;
}

/**
 * As the answers' memory (answerRoom.ts), places go to a connection while it has less than are free, so
 * that no connection can take them all.
 */
export class CallGate {
  readonly #limits: GateLimits;
  /** In order of turns. */
  readonly #connections = new Map<string, Connection>();
  #admitted = 0;
  #waiting = 0;
  #closed = false;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  /** Calls let through, and those that wait. */
  get calls(): { readonly admitted: number; readonly waiting: number } {
    return { admitted: this.#admitted, waiting: this.#waiting };
  }

  /** Lets a call of `peer` in, now or later. Call the result once, when the call has ended. */
  enter(peer: string, entry: Entry): () => void {
    if (this.#closed) {
      entry.refuse(stopping());
      return () => {};
    }
    let connection = this.#connections.get(peer);
    if (connection === undefined) {
      connection = { admitted: 0, waiting: new Set() };
      this.#connections.set(peer, connection);
    }
    this.#wait(peer, connection, entry);
    return () => this.#leave(peer, connection, entry);
  }

  #wait(peer: string, connection: Connection, entry: Entry): void {
    // The usual call finds nobody waiting: there is no order to keep.
    if (this.#waiting === 0 && this.#fits(connection)) {
      this.#let(peer, connection, entry);
      return;
    }
    connection.waiting.add(entry);
    this.#waiting += 1;
    this.#admit();
  }

  #leave(peer: string, connection: Connection, entry: Entry): void {
    if (connection.waiting.delete(entry)) this.#waiting -= 1;
    else {
      connection.admitted -= 1;
      this.#admitted -= 1;
    }
    if (connection.admitted === 0 && connection.waiting.size === 0) {
      this.#connections.delete(peer);
    }
    this.#admit();
  }

  /** Lets a call in, and moves its connection to the end of the order. */
  #let(peer: string, connection: Connection, entry: Entry): void {
    connection.admitted += 1;
    this.#admitted += 1;
    this.#connections.delete(peer);
    this.#connections.set(peer, connection);
    entry.admit();
  }

  /** Refuses the calls that wait, and all later ones. */
  close(): void {
    this.#closed = true;
    for (const { waiting } of this.#connections.values()) {
      for (const entry of waiting) entry.refuse(stopping());
    }
  }

  /** One call per connection and round. */
  #admit(): void {
    for (let before = -1; this.#waiting > 0 && !this.#closed && before !== this.#admitted; ) {
      before = this.#admitted;
      for (const [peer, connection] of [...this.#connections]) {
        const [entry] = connection.waiting;
        if (entry === undefined || !this.#fits(connection)) continue;
        connection.waiting.delete(entry);
        this.#waiting -= 1;
        this.#let(peer, connection, entry);
      }
    }
  }

  #fits({ admitted }: Connection): boolean {
    if (admitted === 0) return true;
    const { maxCalls, maxConnectionCalls } = this.#limits;
    return admitted < maxConnectionCalls && admitted < maxCalls - this.#admitted;
  }

  /** Holds back calls of the method `path`. */
  interceptor(path: string): ServerInterceptor {
    return (method, call) =>
      // A call that isn't held back needs no layer.
      method.path === path
        ? new GatedCall(call, this, this.#limits).intercepting
        : (call as ServerInterceptingCall);
  }
}

class GatedCall extends CallLayer implements Entry {
  readonly #gate: CallGate;
  readonly #limits: GateLimits;
  readonly #startedAtMs = performance.now();
  /** null: it hasn't come here, or its message was read. */
  #unread: GrpcCode | null = null;
  #leave: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #metadata: Metadata | undefined;

  constructor(call: ServerInterceptingCallInterface, gate: CallGate, limits: GateLimits) {
    super(call);
    this.#gate = gate;
    this.#limits = limits;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    this.#metadata = metadata;
    this.#unread = GrpcStatus.CANCELLED;
    this.#timer = setTimeout(() => this.refuse(timedOut()), this.#limits.timeoutMs);
    this.#leave = this.#gate.enter(this.getPeer(), this);
  }

  admit(): void {
    super.onReceiveMetadata(this.#metadata!);
  }

  refuse({ code, message }: RpcError): void {
    this.#unread = code;
    this.sendStatus({ code, details: message, metadata: null });
  }

  override onReceiveHalfClose(): void {
    clearTimeout(this.#timer);
    this.#unread = null;
    super.onReceiveHalfClose();
  }

  override onCancel(): void {
    clearTimeout(this.#timer);
    this.#leave?.();
    if (this.#unread !== null) {
      this.#limits.onUnread(this.#unread, (performance.now() - this.#startedAtMs) / 1000);
    }
    super.onCancel();
  }
}
