/**
 * The images at one teacher: each is sent, and then answered, refused, failed or dropped. What that
 * means for the teacher is its link's business.
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
  /** Asking again is no use. */
  onRefused(request: ImageRequest, error: ImageRefusedError): void;
  /** `said`: by the teacher itself, which is alive then; else it was silent or sent rubbish. */
  onFailed(request: ImageRequest, reason: RequeueReason, detail: string, said: boolean): void;
}

/** One image at one teacher. */
interface Attempt {
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

/** The unanswered images of one stream, each with its deadline and what has come of its answer. */
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

  /** Where images go from now on. */
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
    this.#tell('sent', attempt);
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

  /** The stream is over. Returns the images that were there. */
  end(reason: string): ImageRequest[] {
    this.#stream = undefined;
    return this.#attempts.closeAll().map((attempt) => {
      this.#tell('failed', attempt, reason);
      return attempt.request;
    });
  }

  chunk(chunk: TensorChunkView): void {
    this.#accept(chunk);
    // What a late, cancelled or doubled answer has used up is granted again.
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
    this.#tell('refused', attempt, answer);
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
    this.#tell('answered', attempt);
    this.#events.onAnswered(attempt.request, attempt.assembly.reply());
  }

  #timedOut(id: number): void {
    this.#stream?.cancel(id);
    const { requestTimeoutMs } = this.#settings;
    this.#failed(id, 'timeout', `no whole answer within ${requestTimeoutMs} ms`, false);
  }

  #failed(id: number, reason: RequeueReason, detail: string, said: boolean): void {
    const attempt = this.#attempts.close(id);
    if (attempt === undefined) return;
    this.#tell('failed', attempt, `${reason}: ${detail}`);
    this.#events.onFailed(attempt.request, reason, detail, said);
  }

  #dropped(attempt: Attempt): void {
    this.#stream?.cancel(attempt.id);
    this.#tell('dropped', attempt);
  }

  #tell(kind: AttemptEvent['kind'], attempt: Attempt, reason = ''): void {
    const { onAttempt } = this.#settings;
    if (onAttempt === undefined) return;
    const { id, number, request, sentAtMs, missingBytes } = attempt;
    const { sample, batch, rgb } = request.image;
    const bytes = kind === 'sent' ? rgb.length : request.replyBytes - missingBytes;
    const ms = Math.round(performance.now() - sentAtMs);
    const teacher = this.#address;
    onAttempt({ kind, request: id, attempt: number, teacher, sample, batch, bytes, ms, reason });
  }

  /** As many bytes as the images here lack: the answer to each is granted when it is asked for. */
  #grant(): void {
    this.#stream?.grantUpTo(this.#attempts.missingBytes);
  }
}
