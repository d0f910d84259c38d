/**
 * The images at one teacher: each is sent, and then answered, refused, failed or dropped. The link
 * decides what each outcome means for the teacher.
 */
import { status } from '@grpc/grpc-js';
import type { TeacherReply } from '../../contract/teacher.js';
import type { ImageError } from '../generated/cirkd/teacher/v1/ImageError.js';
import type { DistillStream } from './distillStream.js';
import { ImageRefusedError, requeueReason, statusName } from './errors.js';
import type { AttemptEvent, ClientSettings, RequeueReason } from './options.js';
import { ChunkError, ReplyAssembly } from './replyAssembly.js';
import type { ImageRequest } from './request.js';
import type { TensorChunkView } from './responseDecoder.js';

export interface ExchangeEvents {
  onAnswered(request: ImageRequest, reply: TeacherReply): void;
  /** The teacher refused the image for good. */
  onRefused(request: ImageRequest, error: ImageRefusedError): void;
  /** `reported`: the teacher itself sent the error, so it is alive; otherwise it was silent or sent garbage. */
  onFailed(request: ImageRequest, reason: RequeueReason, detail: string, reported: boolean): void;
}

/** One image at one teacher. */
interface Attempt {
  /** The request's id: unique during the client's life, and so in every stream. */
  readonly id: number;
  /** 0 for the first time that the image was sent to any teacher. */
  readonly number: number;
  readonly request: ImageRequest;
  readonly assembly: ReplyAssembly;
  readonly timer: NodeJS.Timeout;
  readonly sentAtMs: number;
  /** Bytes of the answer that haven't arrived. */
  missingBytes: number;
}

/** The unanswered images of one stream, each with its deadline and the received part of its answer. */
class Attempts {
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

  /** Bytes missing from the answers of all open attempts. */
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

  /** Records that `bytes` more of an answer have arrived. */
  arrived(attempt: Attempt, bytes: number): void {
    attempt.missingBytes -= bytes;
    this.#missingBytes -= bytes;
  }

  /** Undefined for an attempt that was never made here, or is over. */
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

export class ImageExchange {
  readonly #address: string;
  readonly #settings: ClientSettings;
  readonly #events: ExchangeEvents;
  readonly #attempts: Attempts;
  #stream: DistillStream | undefined;

  constructor(address: string, settings: ClientSettings, events: ExchangeEvents) {
    this.#address = address;
    this.#settings = settings;
    this.#events = events;
    this.#attempts = new Attempts(settings.requestTimeoutMs, (id) => this.#timedOut(id));
  }

  /** Unanswered images. */
  get size(): number {
    return this.#attempts.size;
  }

  /** Sends images over `stream` from now on. */
  open(stream: DistillStream): void {
    this.#stream = stream;
  }

  send(request: ImageRequest): void {
    const attempt = this.#attempts.open(request);
    const { id, number } = attempt;
    this.#grant();
    this.#stream!.send({
      ...request.image,
      id,
      attempt: number,
      timeoutMs: this.#settings.requestTimeoutMs,
      crc32c: request.crc32c,
    });
    this.#report('sent', attempt);
  }

  /** Forgets an image; its answer may still arrive and is then ignored. */
  drop(request: ImageRequest): void {
    const attempt = this.#attempts.close(request.id);
    if (attempt !== undefined) this.#dropped(attempt);
  }

  /** Forgets all. */
  dropAll(): void {
    for (const attempt of this.#attempts.closeAll()) this.#dropped(attempt);
  }

  /** Ends all attempts, as the stream is over; returns their images. */
  end(reason: string): ImageRequest[] {
    this.#stream = undefined;
    return this.#attempts.closeAll().map((attempt) => {
      this.#report('failed', attempt, reason);
      return attempt.request;
    });
  }

  chunk(chunk: TensorChunkView): void {
    this.#accept(chunk);
    // Restores the credit that a late, cancelled or duplicate answer has used up.
    this.#grant();
  }

  error(error: ImageError): void {
    const attempt = this.#attempts.get(error.id, error.attempt);
    if (attempt === undefined) return;
    const { request } = attempt;
    const answer = `${statusName(error.code)}: ${error.message}`;
    if (error.retryable) {
      request.blame(error.code, error.reason);
      this.#failed(error.id, requeueReason(error), answer, true);
      return;
    }
    this.#attempts.close(error.id);
    this.#report('refused', attempt, answer);
    const message = `teacher ${this.#address} refused image ${request.image.sample}: ${answer}`;
    this.#events.onRefused(request, new ImageRefusedError(error.code, message));
  }

  #accept(chunk: TensorChunkView): void {
    const attempt = this.#attempts.get(chunk.id, chunk.attempt);
    if (attempt === undefined) return;
    try {
      const isWhole = attempt.assembly.accept(chunk);
      this.#attempts.arrived(attempt, chunk.data.length);
      if (!isWhole) return;
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      this.#stream?.cancel(chunk.id);
      attempt.request.blame(status.DATA_LOSS);
      this.#failed(chunk.id, error.reason, error.message, false);
      return;
    }
    this.#attempts.close(chunk.id);
    this.#report('answered', attempt);
    this.#events.onAnswered(attempt.request, attempt.assembly.reply());
  }

  #timedOut(id: number): void {
    this.#stream?.cancel(id);
    const { requestTimeoutMs } = this.#settings;
    this.#failed(id, 'timeout', `no complete answer within ${requestTimeoutMs} ms`, false);
  }

  #failed(id: number, reason: RequeueReason, detail: string, reported: boolean): void {
    const attempt = this.#attempts.close(id);
    if (attempt === undefined) return;
    this.#report('failed', attempt, `${reason}: ${detail}`);
    this.#events.onFailed(attempt.request, reason, detail, reported);
  }

  #dropped(attempt: Attempt): void {
    this.#stream?.cancel(attempt.id);
    this.#report('dropped', attempt);
  }

  #report(kind: AttemptEvent['kind'], attempt: Attempt, reason = ''): void {
    const { onAttempt } = this.#settings;
    if (onAttempt === undefined) return;
    const { id, number, request, sentAtMs, missingBytes } = attempt;
    const { sample, batch, rgb } = request.image;
    const bytes = kind === 'sent' ? rgb.length : request.replyBytes - missingBytes;
    const ms = Math.round(performance.now() - sentAtMs);
    const teacher = this.#address;
    onAttempt({ kind, request: id, attempt: number, teacher, sample, batch, bytes, ms, reason });
  }

  /** Grants credit for all missing bytes, so each answer has its credit as soon as it is requested. */
  #grant(): void {
    this.#stream?.grantUpTo(this.#attempts.missingBytes);
  }
}
