/** The unanswered images of one teacher, each with its deadline, and the reports of their outcomes. */
import type { AttemptEvent, ClientSettings } from './options.js';
import type { ImageRequest } from './request.js';

/** One image at one teacher. `Part`: what the protocol keeps for it. */
export interface Attempt<Part> {
  /** The request's id: unique during the client's life, and so in every stream. */
  readonly id: number;
  /** 0 for the first time that the image was sent to any teacher. */
  readonly number: number;
  readonly request: ImageRequest;
  readonly part: Part;
  readonly timer: NodeJS.Timeout;
  readonly sentAtMs: number;
  /** Bytes of the answer that haven't arrived. */
  missingBytes: number;
}

type Settings = Pick<ClientSettings, 'requestTimeoutMs' | 'onAttempt'>;

export class Attempts<Part> {
  readonly #address: string;
  readonly #settings: Settings;
  readonly #onTimeout: (id: number) => void;
  readonly #open = new Map<number, Attempt<Part>>();
  #missingBytes = 0;

  /** `onTimeout` is called for an attempt that is still open after requestTimeoutMs. */
  constructor(address: string, settings: Settings, onTimeout: (id: number) => void) {
    this.#address = address;
    this.#settings = settings;
    this.#onTimeout = onTimeout;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Bytes missing from the answers of all open attempts. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  open(request: ImageRequest, part: Part): Attempt<Part> {
    const { id } = request;
    const timer = setTimeout(() => this.#onTimeout(id), this.#settings.requestTimeoutMs);
    const missingBytes = request.replyBytes;
    const attempt = {
      ...{ id, number: request.attempts++, request, part, timer, missingBytes },
      sentAtMs: performance.now(),
    };
    this.#open.set(id, attempt);
    this.#missingBytes += missingBytes;
    return attempt;
  }

  /** Records that `bytes` more of an answer have arrived. */
  arrived(attempt: Attempt<Part>, bytes: number): void {
    attempt.missingBytes -= bytes;
    this.#missingBytes -= bytes;
  }

  /** Undefined for an attempt that was never made here, or is over. */
  get(id: number, number: number): Attempt<Part> | undefined {
    const attempt = this.#open.get(id);
    return attempt?.number === number ? attempt : undefined;
  }

  /** The open attempt at the image, whichever it is. */
  find(id: number): Attempt<Part> | undefined {
    return this.#open.get(id);
  }

  close(id: number): Attempt<Part> | undefined {
    const attempt = this.#open.get(id);
    if (attempt !== undefined) {
      clearTimeout(attempt.timer);
      this.#open.delete(id);
      this.#missingBytes -= attempt.missingBytes;
    }
    return attempt;
  }

  closeAll(): Attempt<Part>[] {
    const attempts = [...this.#open.values()];
    for (const { id } of attempts) this.close(id);
    return attempts;
  }

  /** Reports an attempt to the client's hook. */
  report(kind: AttemptEvent['kind'], attempt: Attempt<Part>, reason = ''): void {
    const { onAttempt } = this.#settings;
    if (onAttempt === undefined) return;
    const { id, number, request, sentAtMs, missingBytes } = attempt;
    const { sample, batch, rgb } = request.image;
    const bytes = kind === 'sent' ? rgb.length : request.replyBytes - missingBytes;
    const ms = Math.round(performance.now() - sentAtMs);
    const teacher = this.#address;
    onAttempt({ kind, request: id, attempt: number, teacher, sample, batch, bytes, ms, reason });
  }
}
