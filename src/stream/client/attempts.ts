/**
 * The unanswered images of one teacher, each with its deadline. Every outcome ends the attempt, is reported to the
 * client's hook, and then goes to the link.
 */
import type { status } from '@grpc/grpc-js';
import type { TeacherReply } from '../../contract/teacher.js';
import type { ImageEvents } from './conversation.js';
import { ImageRefusedError } from './errors.js';
import type { AttemptEvent, ClientSettings, RequeueReason } from './options.js';
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

/** What the protocol does about an attempt. */
export interface AttemptProtocol<Part> {
  /** The attempt is still open after requestTimeoutMs. */
  timedOut(id: number): void;
  /** Tells the teacher that the answer is no longer wanted. */
  cancel(attempt: Attempt<Part>): void;
}

type Settings = Pick<ClientSettings, 'requestTimeoutMs' | 'onAttempt'>;

export class Attempts<Part> {
  readonly #address: string;
  readonly #settings: Settings;
  readonly #events: ImageEvents;
  readonly #protocol: AttemptProtocol<Part>;
  readonly #open = new Map<number, Attempt<Part>>();
  #missingBytes = 0;

  constructor(
    address: string,
    settings: Settings,
    events: ImageEvents,
    protocol: AttemptProtocol<Part>,
  ) {
    this.#address = address;
    this.#settings = settings;
    this.#events = events;
    this.#protocol = protocol;
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
    const timer = setTimeout(() => this.#protocol.timedOut(id), this.#settings.requestTimeoutMs);
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

  /** The whole answer came. */
  answered(attempt: Attempt<Part>, reply: TeacherReply): void {
    this.#close(attempt.id);
    this.#report('answered', attempt);
    this.#events.onAnswered(attempt.request, reply);
  }

  /** The teacher refused the image for good. */
  refused(attempt: Attempt<Part>, code: status, answer: string): void {
    const { id, request } = attempt;
    this.#close(id);
    this.#report('refused', attempt, answer);
    const message = `teacher ${this.#address} refused image ${request.image.sample}: ${answer}`;
    this.#events.onRefused(request, new ImageRefusedError(code, message));
  }

  /** See ImageEvents.onFailed. No effect on an attempt that is over. */
  failed(id: number, reason: RequeueReason, detail: string, reported: boolean): void {
    const attempt = this.#close(id);
    if (attempt === undefined) return;
    this.#report('failed', attempt, `${reason}: ${detail}`);
    this.#events.onFailed(attempt.request, reason, detail, reported);
  }

  /** Forgets an image and cancels it; its answer may still arrive. */
  drop(request: ImageRequest): void {
    const attempt = this.#close(request.id);
    if (attempt === undefined) return;
    this.#protocol.cancel(attempt);
    this.#report('dropped', attempt);
  }

  dropAll(): void {
    for (const { request } of [...this.#open.values()]) this.drop(request);
  }

  /** Ends all attempts, as the connection is over; returns their images. */
  end(reason: string): ImageRequest[] {
    const attempts = [...this.#open.values()];
    for (const { id } of attempts) this.#close(id);
    return attempts.map((attempt) => {
      this.#report('failed', attempt, reason);
      return attempt.request;
    });
  }

  /** The image is on its way. */
  sent(attempt: Attempt<Part>): void {
    this.#report('sent', attempt);
  }

  #close(id: number): Attempt<Part> | undefined {
    const attempt = this.#open.get(id);
    if (attempt !== undefined) {
      clearTimeout(attempt.timer);
      this.#open.delete(id);
      this.#missingBytes -= attempt.missingBytes;
    }
    return attempt;
  }

  /** Reports an attempt to the client's hook. */
  #report(kind: AttemptEvent['kind'], attempt: Attempt<Part>, reason = ''): void {
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
