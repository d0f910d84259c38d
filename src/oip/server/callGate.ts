/**
 * Bounds the inference calls that may have a message in memory, before it is read: a call beyond the
 * bounds waits, and HTTP/2's flow control makes its client wait, too. So a client with many calls at
 * once, as Triton's have, gets all its answers, and a server's memory doesn't depend on their number.
 */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
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
  readonly admit: () => void;
  readonly refuse: (error: RpcError) => void;
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
  #closed = false;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  /** Calls let through, and those that wait. */
  get calls(): { readonly admitted: number; readonly waiting: number } {
    const waiting = [...this.#connections.values()].reduce((sum, one) => sum + one.waiting.size, 0);
    return { admitted: this.#admitted, waiting };
  }

  /** Lets a call of `peer` in, now or later. Call the result once, when the call has ended. */
  enter(peer: string, entry: Entry): () => void {
    if (this.#closed) {
      entry.refuse(stopping());
      return () => {};
    }
    const connection = this.#connections.get(peer) ?? { admitted: 0, waiting: new Set() };
    this.#connections.set(peer, connection);
    connection.waiting.add(entry);
    this.#admit();
    return () => {
      if (!connection.waiting.delete(entry)) {
        connection.admitted -= 1;
        this.#admitted -= 1;
      }
      if (connection.admitted === 0 && connection.waiting.size === 0) {
        this.#connections.delete(peer);
      }
      this.#admit();
    };
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
    for (let before = -1; !this.#closed && before !== this.#admitted; ) {
      before = this.#admitted;
      for (const [peer, connection] of [...this.#connections]) {
        const [entry] = connection.waiting;
        if (entry === undefined || !this.#fits(connection)) continue;
        connection.waiting.delete(entry);
        connection.admitted += 1;
        this.#admitted += 1;
        this.#connections.delete(peer);
        this.#connections.set(peer, connection);
        entry.admit();
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
    return (method, call) => {
      if (method.path !== path) return new ServerInterceptingCall(call);
      const { timeoutMs, onUnread } = this.#limits;
      const startedAtMs = performance.now();
      /** null: it hasn't come here, or its message was read. */
      let unread: GrpcCode | null = null;
      let leave = () => {};
      let timer: NodeJS.Timeout | undefined;
      const refuse = ({ code, message }: RpcError) => {
        unread = code;
        call.sendStatus({ code, details: message, metadata: null });
      };
      return new ServerInterceptingCall(call, {
        start: (next) => {
          next({
            onReceiveMetadata: (metadata, admit) => {
              unread = GrpcStatus.CANCELLED;
              timer = setTimeout(() => refuse(timedOut()), timeoutMs);
              leave = this.enter(call.getPeer(), { admit: () => admit(metadata), refuse });
            },
            onReceiveHalfClose(pass) {
              clearTimeout(timer);
              unread = null;
              pass();
            },
            onCancel() {
              clearTimeout(timer);
              leave();
              if (unread !== null) onUnread(unread, (performance.now() - startedAtMs) / 1000);
            },
          });
        },
      });
    };
  }
}
