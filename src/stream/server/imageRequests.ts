/**
 * The unanswered images of one stream. Each lives through queued → computing → sending; an answer,
 * a fault, its deadline, a cancel or the end of the stream takes it out.
 */
import { NonFiniteOutputError, RefusedImageError } from '../../contract/inference.js';
import type { EncodedOutput, Encoding, OutputRequest } from '../../contract/outputs.js';
import { grpcCodeName, GrpcStatus, RpcError } from '../../rpc/errors.js';
import { answerBytes, expectedOutputs } from '../codec/outputShapes.js';
import type { Image } from '../generated/cirkd/teacher/v1/Image.js';
import { type AnswerBudget, AnswerRoom } from './answerRoom.js';
import type { ChunkSender, WriteChunk } from './chunkSender.js';
import { type Agreement, imageOutputs } from './hello.js';
import { checkImage, checkResult, faultOfDrop, ImageFault } from './imageCheck.js';
import type { InferenceEngine, ServerLimits, TeacherServerHooks } from './serving.js';
import type { DropReason, QueuedRequest, RequestIntake } from './turns.js';

/** State shared by the streams of one server. */
export interface Serving {
  readonly engine: InferenceEngine;
  readonly queue: RequestIntake;
  /** Whether an image that was answered before is answered without being computed. */
  readonly cachesAnswers: boolean;
  readonly answers: AnswerBudget;
  readonly limits: ServerLimits;
  /** Encodings that a client may ask for. */
  readonly encodings: readonly Encoding[];
  readonly hooks: TeacherServerHooks;
  /** Wraps the writer between each stream's sender and its connection; undefined: none. */
  readonly tapChunks: ((write: WriteChunk) => WriteChunk) | undefined;
}

/** The part of the stream that its images use. */
export interface ImageReplies {
  fail(image: { readonly id: number; readonly attempt: number }, fault: ImageFault): void;
  returnUploadCredit(bytes: number): void;
  /** Every image is answered, and the connection has taken the answers. */
  onIdle(): void;
}

interface Unanswered {
  readonly id: number;
  readonly attempt: number;
  readonly request: QueuedRequest;
  readonly answerBytes: number;
  /** The sender has the answer and hasn't handed all of it to gRPC. */
  isSending: boolean;
  readonly deadline: NodeJS.Timeout;
}

export class ImageRequests {
  readonly #serving: Serving;
  readonly #run: string;
  readonly #outputs: readonly OutputRequest[];
  readonly #maxChunkBytes: number;
  readonly #sender: ChunkSender;
  readonly #replies: ImageReplies;
  readonly #unanswered = new Map<number, Unanswered>();
  readonly #answerRoom: AnswerRoom;
  /** Answers handed to gRPC that the connection hasn't taken yet. */
  #unflushed = 0;
  /** The part of the answer room held by images in the network. */
  #computingBytes = 0;
  #uploadCreditBytes: number;
  #closed = false;

  constructor(
    serving: Serving,
    { runId, outputs }: Pick<Agreement, 'runId' | 'outputs'>,
    maxChunkBytes: number,
    sender: ChunkSender,
    replies: ImageReplies,
  ) {
    this.#serving = serving;
    this.#run = runId;
    this.#outputs = imageOutputs(outputs);
    this.#maxChunkBytes = maxChunkBytes;
    this.#sender = sender;
    this.#replies = replies;
    this.#uploadCreditBytes = serving.limits.uploadCreditBytes;
    this.#answerRoom = new AnswerRoom(serving.answers);
  }

  get idle(): boolean {
    return this.#unanswered.size === 0 && this.#unflushed === 0;
  }

  /**
   * Queues an image, or answers it with its fault. Throws RpcError RESOURCE_EXHAUSTED if the client
   * has exceeded its upload credit, which ends the stream.
   */
  accept(image: Image, draining: boolean): void {
    const bytes = image.rgb.length;
    if (bytes > this.#uploadCreditBytes) {
      throw new RpcError(
        GrpcStatus.RESOURCE_EXHAUSTED,
        `image.rgb: ${bytes} bytes sent, ${this.#uploadCreditBytes} bytes of credit left`,
      );
    }
    this.#uploadCreditBytes -= bytes;
    try {
      if (draining) {
        const message = 'the server is shutting down and takes no new images';
        throw new ImageFault(GrpcStatus.UNAVAILABLE, message, true, 'ERROR_REASON_DRAINING');
      }
      this.#check(image);
      this.#enqueue(image);
    } catch (error) {
      if (!(error instanceof ImageFault)) throw error;
      this.#returnCredit(bytes);
      this.#fail(image, error);
    }
  }

  /** The client no longer wants the answer. An unknown id means that the answer crossed the cancel. */
  cancel(id: number): void {
    const entry = this.#unanswered.get(id);
    if (!entry) return;
    this.#serving.hooks.onAnswer('CANCELLED');
    this.#forget(entry);
  }

  /** Drops all images; no callback is called afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const entry of this.#unanswered.values()) {
      clearTimeout(entry.deadline);
      this.#serving.queue.remove(entry.request);
      this.#serving.hooks.onAnswer('CANCELLED');
    }
    this.#unanswered.clear();
    // The room of images in the network is released when they return.
    this.#releaseRoom(this.#answerRoom.heldBytes - this.#computingBytes);
  }

  #check(image: Image): void {
    const { limits, engine } = this.#serving;
    if (this.#unanswered.has(image.id)) {
      throw new ImageFault(
        GrpcStatus.INVALID_ARGUMENT,
        `image.id: ${image.id} given, an unanswered image already has this id`,
        false,
      );
    }
    if (this.#unanswered.size >= limits.maxInflightImages) {
      throw new ImageFault(
        GrpcStatus.RESOURCE_EXHAUSTED,
        `${this.#unanswered.size} images of this stream are unanswered, wanted at most ${limits.maxInflightImages}`,
        true,
      );
    }
    const shape = { outputs: this.#outputs, maxChunkBytes: this.#maxChunkBytes };
    checkImage(image, limits.maxImagePixels, engine.info, shape);
  }

  #enqueue(image: Image): void {
    const { id, attempt, height, width, rgb } = image;
    const { limits, queue, engine } = this.#serving;
    const bytes = rgb.length;
    const reply = answerBytes(expectedOutputs(image, engine.info, this.#outputs));
    // A finished answer takes memory until it is sent, so the server's limit applies as well.
    const timeoutMs = Math.min(image.timeoutMs || limits.requestTimeoutMs, limits.requestTimeoutMs);
    const sample = image.sampleKey?.sample ?? '';
    const request: QueuedRequest = {
      name: { run: this.#run, request: id, attempt, sample },
      stream: this,
      image: { height, width, rgb },
      outputs: this.#outputs,
      timeoutMs,
      mayStart: () => this.#answerRoom.fits(reply),
      onStart: () => this.#startComputing(reply),
      onLeave: () => this.#returnCredit(bytes),
      onDropped: (reason) => this.#dropped(id, reason),
      isWanted: () => this.#unanswered.get(id)?.request === request,
      onResult: (result) => this.#finish(id, request, reply, result),
    };
    if (!queue.submit(request)) {
      const message = `the queue is full; images waiting: ${queue.size}`;
      throw new ImageFault(GrpcStatus.RESOURCE_EXHAUSTED, message, true);
    }
    const deadline = setTimeout(() => this.#expire(id, timeoutMs), timeoutMs);
    const entry = { id, attempt, request, answerBytes: reply, isSending: false, deadline };
    this.#unanswered.set(id, entry);
  }

  #startComputing(bytes: number): void {
    this.#answerRoom.hold(bytes);
    this.#computingBytes += bytes;
  }

  #finish(
    id: number,
    request: QueuedRequest,
    bytes: number,
    result: EncodedOutput[] | Error,
  ): void {
    this.#computingBytes -= bytes;
    const entry = this.#unanswered.get(id);
    if (entry?.request !== request) {
      this.#releaseRoom(bytes);
      return;
    }
    const outputs = this.#checked(request, result);
    if (outputs instanceof Error) {
      this.#releaseRoom(bytes);
      this.#fail(entry, this.#faultOf(request, outputs));
      this.#forget(entry);
      return;
    }
    entry.isSending = true;
    this.#sender.send({
      id,
      attempt: entry.attempt,
      outputs,
      onSent: () => {
        this.#serving.hooks.onAnswer('OK');
        this.#unflushed += 1;
        entry.isSending = false;
        this.#forget(entry);
      },
      onFlushed: () => {
        this.#unflushed -= 1;
        this.#releaseRoom(bytes);
        if (this.idle) this.#replies.onIdle();
      },
    });
  }

  /** The result, or an Error if it doesn't match the request. */
  #checked(request: QueuedRequest, result: EncodedOutput[] | Error): EncodedOutput[] | Error {
    if (result instanceof Error) return result;
    try {
      checkResult(
        result,
        expectedOutputs(request.image, this.#serving.engine.info, request.outputs),
      );
      return result;
    } catch (error) {
      return error as Error;
    }
  }

  #faultOf({ name }: QueuedRequest, error: Error): ImageFault {
    if (error instanceof NonFiniteOutputError) {
      return new ImageFault(GrpcStatus.INTERNAL, error.message, true, 'ERROR_REASON_NON_FINITE');
    }
    if (error instanceof RefusedImageError) {
      return new ImageFault(GrpcStatus.INVALID_ARGUMENT, error.message, false);
    }
    this.#serving.hooks.onEvent('error', 'inference failed', { ...name, error });
    const message = "the computation failed; see the server's log";
    return new ImageFault(GrpcStatus.INTERNAL, message, true);
  }

  #dropped(id: number, reason: DropReason): void {
    const entry = this.#unanswered.get(id);
    if (!entry) return;
    this.#fail(entry, faultOfDrop(reason));
    this.#forget(entry);
  }

  #expire(id: number, timeoutMs: number): void {
    const entry = this.#unanswered.get(id);
    if (!entry) return;
    const message = `not answered within ${timeoutMs} ms`;
    this.#fail(entry, new ImageFault(GrpcStatus.DEADLINE_EXCEEDED, message, true));
    this.#forget(entry);
  }

  #fail(image: { readonly id: number; readonly attempt: number }, fault: ImageFault): void {
    this.#serving.hooks.onAnswer(grpcCodeName(fault.code));
    this.#replies.fail(image, fault);
  }

  /** Takes an image out, in any state. */
  #forget(entry: Unanswered): void {
    clearTimeout(entry.deadline);
    this.#unanswered.delete(entry.id);
    this.#serving.queue.remove(entry.request);
    this.#sender.drop(entry.id);
    if (entry.isSending) this.#releaseRoom(entry.answerBytes);
    if (this.idle) this.#replies.onIdle();
  }

  /** Releases the room of an answer that was flushed or given up, so that another can be computed. */
  #releaseRoom(bytes: number): void {
    this.#answerRoom.release(bytes);
    this.#serving.queue.wake();
  }

  #returnCredit(bytes: number): void {
    if (this.#closed) return;
    this.#uploadCreditBytes += bytes;
    if (bytes > 0) this.#replies.returnUploadCredit(bytes);
  }
}
