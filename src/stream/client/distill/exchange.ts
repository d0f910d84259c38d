/**
 * The images at one teacher: each is sent, and then answered, refused, failed or dropped. The link
 * decides what each outcome means for the teacher.
 */
import { status } from '@grpc/grpc-js';
import type { ImageError } from '../../generated/cirkd/teacher/v1/ImageError.js';
import { Attempts } from '../attempts.js';
import type { ImageEvents } from '../conversation.js';
import type { DistillStream } from './distillStream.js';
import { requeueReason, statusName } from '../errors.js';
import type { ClientSettings } from '../options.js';
import { ChunkError, ReplyAssembly } from './replyAssembly.js';
import type { ImageRequest } from '../request.js';
import type { ChunkHead, TensorChunkView } from './tensorChunk.js';

export class ImageExchange {
  readonly #settings: ClientSettings;
  readonly #attempts: Attempts<ReplyAssembly>;
  #stream: DistillStream | undefined;

  constructor(address: string, settings: ClientSettings, events: ImageEvents) {
    this.#settings = settings;
    this.#attempts = new Attempts(address, settings, events, {
      timedOut: (id) => this.#timedOut(id),
      cancel: ({ id }) => this.#stream?.cancel(id),
    });
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
    this.#attempts.sent(attempt);
  }

  /** Forgets an image; its answer may still arrive and is then ignored. */
  drop(request: ImageRequest): void {
    this.#attempts.drop(request);
  }

  /** Forgets all. */
  dropAll(): void {
    this.#attempts.dropAll();
  }

  /** Ends all attempts, as the stream is over; returns their images. */
  end(reason: string): ImageRequest[] {
    this.#stream = undefined;
    return this.#attempts.end(reason);
  }

  /** Where the data of a chunk belongs that is about to arrive; undefined if it isn't wanted, or not yet. */
  place(head: ChunkHead): Uint8Array | undefined {
    const { id, attempt } = head.chunk;
    return this.#attempts.get(id, attempt)?.part.place(head);
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
      this.#attempts.failed(error.id, requeueReason(error), answer, true);
      return;
    }
    this.#attempts.refused(attempt, error.code, answer);
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
      this.#attempts.failed(chunk.id, error.reason, error.message, false);
      return;
    }
    this.#attempts.answered(attempt, attempt.part.reply());
  }

  #timedOut(id: number): void {
    this.#stream?.cancel(id);
    const { requestTimeoutMs } = this.#settings;
    this.#attempts.failed(id, 'timeout', `no complete answer within ${requestTimeoutMs} ms`, false);
  }

  /** Grants credit for all missing bytes, so each answer has its credit as soon as it is requested. */
  #grant(): void {
    this.#stream?.grantUpTo(this.#attempts.missingBytes);
  }
}
