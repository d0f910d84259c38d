/**
 * The images at one teacher: each is sent, and then answered, refused, failed or dropped. The link
 * decides what each outcome means for the teacher.
 */
import { status } from '@grpc/grpc-js';
import type { ImageError } from '../../generated/cirkd/teacher/v1/ImageError.js';
import { type Attempt as AttemptOf, Attempts } from '../attempts.js';
import type { ImageEvents } from '../conversation.js';
import type { DistillStream } from './distillStream.js';
import { ImageRefusedError, requeueReason, statusName } from '../errors.js';
import type { ClientSettings, RequeueReason } from '../options.js';
import { ChunkError, ReplyAssembly } from './replyAssembly.js';
import type { ImageRequest } from '../request.js';
import type { TensorChunkView } from './responseDecoder.js';

type Attempt = AttemptOf<ReplyAssembly>;

export class ImageExchange {
  readonly #address: string;
  readonly #settings: ClientSettings;
  readonly #events: ImageEvents;
  readonly #attempts: Attempts<ReplyAssembly>;
  #stream: DistillStream | undefined;

  constructor(address: string, settings: ClientSettings, events: ImageEvents) {
    this.#address = address;
    this.#settings = settings;
    this.#events = events;
    this.#attempts = new Attempts(address, settings, (id) => this.#timedOut(id));
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
    const attempt = this.#attempts.open(request, new ReplyAssembly(request.outputs));
    const { id, number } = attempt;
    this.#grant();
    this.#stream!.send({
      ...request.image,
      id,
      attempt: number,
      timeoutMs: this.#settings.requestTimeoutMs,
      crc32c: request.crc32c,
    });
    this.#attempts.report('sent', attempt);
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
      this.#attempts.report('failed', attempt, reason);
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
    this.#attempts.report('refused', attempt, answer);
    const message = `teacher ${this.#address} refused image ${request.image.sample}: ${answer}`;
    this.#events.onRefused(request, new ImageRefusedError(error.code, message));
  }

  #accept(chunk: TensorChunkView): void {
    const attempt = this.#attempts.get(chunk.id, chunk.attempt);
    if (attempt === undefined) return;
    try {
      const isWhole = attempt.part.accept(chunk);
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
    this.#attempts.report('answered', attempt);
    this.#events.onAnswered(attempt.request, attempt.part.reply());
  }

  #timedOut(id: number): void {
    this.#stream?.cancel(id);
    const { requestTimeoutMs } = this.#settings;
    this.#failed(id, 'timeout', `no complete answer within ${requestTimeoutMs} ms`, false);
  }

  #failed(id: number, reason: RequeueReason, detail: string, reported: boolean): void {
    const attempt = this.#attempts.close(id);
    if (attempt === undefined) return;
    this.#attempts.report('failed', attempt, `${reason}: ${detail}`);
    this.#events.onFailed(attempt.request, reason, detail, reported);
  }

  #dropped(attempt: Attempt): void {
    this.#stream?.cancel(attempt.id);
    this.#attempts.report('dropped', attempt);
  }

  /** Grants credit for all missing bytes, so each answer has its credit as soon as it is requested. */
  #grant(): void {
    this.#stream?.grantUpTo(this.#attempts.missingBytes);
  }
}
