/** The unanswered images of one stream, each with its deadline and what has come of its answer. */
import type { ImageRequest } from './clientRequest.js';
import { ReplyAssembly } from './replyAssembly.js';

export interface Attempt {
  /** The request's: unique in the client's life, and so in every stream. */
  readonly id: number;
  /** 0 for the first time that the image was sent anywhere. */
  readonly number: number;
  readonly request: ImageRequest;
  readonly assembly: ReplyAssembly;
  readonly timer: NodeJS.Timeout;
  readonly sentAtMs: number;
  /** Bytes of the answer that haven't come. */
  missingBytes: number;
}

export class Attempts {
  readonly #open = new Map<number, Attempt>();
  readonly #timeoutMs: number;
  readonly #onTimeout: (id: number) => void;
  #missingBytes = 0;

  /** `onTimeout` is called for an attempt that is still open after `timeoutMs`. */
  constructor(timeoutMs: number, onTimeout: (id: number) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = onTimeout;
  }

  get size(): number {
    return this.#open.size;
  }

  /** What the open attempts' answers lack. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  open(request: ImageRequest): Attempt {
    const { id } = request;
    const timer = setTimeout(() => this.#onTimeout(id), this.#timeoutMs);
    const assembly = new ReplyAssembly(request.outputs);
    const missingBytes = request.replyBytes;
    const attempt = {
      ...{ id, number: request.attempts++, request, assembly, timer, missingBytes },
      sentAtMs: performance.now(),
    };
    this.#open.set(id, attempt);
    this.#missingBytes += missingBytes;
    return attempt;
  }

  /** So much more of an answer is there. */
  arrived(attempt: Attempt, bytes: number): void {
    attempt.missingBytes -= bytes;
    this.#missingBytes -= bytes;
  }

  /** Undefined for one that was never sent here, or has been answered or given up. */
  get(id: number, number: number): Attempt | undefined {
    const attempt = this.#open.get(id);
    return attempt?.number === number ? attempt : undefined;
  }

  close(id: number): Attempt | undefined {
    const attempt = this.#open.get(id);
    if (attempt !== undefined) {
      clearTimeout(attempt.timer);
      this.#open.delete(id);
      this.#missingBytes -= attempt.missingBytes;
    }
    return attempt;
  }

  closeAll(): Attempt[] {
    const attempts = [...this.#open.values()];
    for (const { id } of attempts) this.close(id);
    return attempts;
  }
}
