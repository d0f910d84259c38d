/** One request on its way through the queue that it shares with the Distill streams. */
import { NonFiniteOutputError, RefusedImageError } from '../../contract/inference.js';
import type { EncodedOutput } from '../../contract/outputs.js';
import { GrpcStatus, RpcError } from '../../rpc/errors.js';
import {
  answerBytes,
  type ExpectedOutput,
  expectedOutputs,
} from '../../stream/codec/outputShapes.js';
import { checkResult } from '../../stream/server/imageCheck.js';
import type { Serving } from '../../stream/server/imageRequests.js';
import type { DropReason, QueuedRequest, RequestName } from '../../stream/server/turns.js';
import type { Client } from './clients.js';
import { derivedBytes } from './derivedOutputs.js';
import type { InferPlan } from './inferRequest.js';
import { invalidArgument, queueFull, requestPrefix, timedOut } from './modelErrors.js';
import { networkOutputs } from './modelTensors.js';

/** Where a request of a ModelStreamInfer stream stands. */
export interface StreamPlace {
  /** The stream, whose images wait in a line of their own. */
  readonly stream: object;
  /**
   * No request before it is unanswered. It may start without room for its answer: that of the requests
   * behind it, which the cache may have answered, only becomes free after it.
   */
  readonly isFirst: () => boolean;
}

/** When what happened, in milliseconds of performance.now(). */
export interface InferenceTimes {
  readonly queuedAtMs: number;
  /** The first computed image joined a batch; undefined: none was computed for this request. */
  startedAtMs?: number;
  /** The last image was answered. */
  answeredAtMs?: number;
}

/**
 * The images of a request, each a request of the queue's. The answers hold the client's room from the
 * start of the first image until `release`; they are counted all at once, as an answer that needs them
 * all must not wait for itself.
 */
export class Inference {
  /** The network's outputs of each image, in order. Rejects with RpcError. */
  readonly answered: Promise<readonly EncodedOutput[][]>;
  readonly times: InferenceTimes = { queuedAtMs: performance.now() };
  /** Images whose answer was in the cache. */
  cachedImages = 0;
  readonly #serving: Serving;
  readonly #client: Client;
  readonly #plan: InferPlan;
  /** Of each image: all have one size. */
  readonly #expected: readonly ExpectedOutput[];
  readonly #answerBytes: number;
  readonly #requests: QueuedRequest[];
  readonly #results: EncodedOutput[][] = [];
  readonly #deadline: NodeJS.Timeout;
  #settle!: { resolve: (results: EncodedOutput[][]) => void; reject: (error: RpcError) => void };
  #unanswered: number;
  /** Images that have started and not returned, by index, each with the time of its start. */
  readonly #computing = new Map<number, number>();
  #holdsRoom = false;
  #isOver = false;
  #isReleased = false;

  /**
   * Queues the images. Throws with nothing left behind: INVALID_ARGUMENT if the answer is larger than all
   * memory for answers, UNAVAILABLE if the queue has no room for the images.
   *
   * @param timeoutMs until all images are computed
   * @param names of the images, for logs and for the statistics of passes
   * @param place null: a call of its own
   */
  constructor(
    serving: Serving,
    client: Client,
    plan: InferPlan,
    timeoutMs: number,
    names: readonly RequestName[],
    place: StreamPlace | null,
  ) {
    this.#serving = serving;
    this.#client = client;
    this.#plan = plan;
    const outputs = networkOutputs(plan.outputs);
    this.#expected = expectedOutputs(plan, serving.engine.info, outputs);
    const imageBytes = answerBytes(this.#expected);
    this.#answerBytes =
      plan.images.length * imageBytes + derivedBytes(plan, serving.engine.info.outputStride);
    this.#unanswered = plan.images.length;
    checkSize(plan.id, this.#answerBytes, serving.limits.maxAnswerBytes);
    this.answered = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever has cancelled doesn't wait for it.
    this.answered.catch(() => {});
    this.#requests = plan.images.map((image, index) => ({
      name: names[index]!,
      stream: place?.stream ?? client,
      image,
      outputs,
      timeoutMs,
      mayStart: () =>
        this.#holdsRoom || (place?.isFirst() ?? false) || client.room.fits(this.#answerBytes),
      onStart: () => this.#start(index),
      onLeave: () => {},
      onDropped: (reason) => this.#fail(this.#faultOfDrop(reason)),
      isWanted: () => !this.#isOver,
      onResult: (result, isCached = false) => this.#take(index, result, isCached),
    }));
    this.#deadline = setTimeout(() => this.#fail(timedOut()), timeoutMs);
    this.#submit();
  }

  /** The answer is no longer wanted. */
  cancel(): void {
    // An answered request ends so, too: an error and its stack would be made for each.
    if (!this.#isOver) this.#fail(new RpcError(GrpcStatus.CANCELLED, 'cancelled'));
    this.release();
  }

  /** The connection has taken the answer, or it was given up: its memory is free for others. */
  release(): void {
    this.#isReleased = true;
    this.#freeRoom();
  }

  #submit(): void {
    const { queue } = this.#serving;
    if (this.#requests.every((request) => queue.submit(request))) return;
    this.#fail(queueFull(this.#plan.id));
    throw queueFull(this.#plan.id);
  }

  #start(index: number): void {
    this.#computing.set(index, performance.now());
    this.#holdRoom();
  }

  #take(index: number, result: EncodedOutput[] | Error, isCached: boolean): void {
    const startedAtMs = this.#computing.get(index)!;
    this.#computing.delete(index);
    if (this.#isOver) {
      this.#freeRoom();
      return;
    }
    const checked = this.#checked(result);
    if (checked instanceof Error) {
      this.#fail(this.#faultOf(index, checked));
      return;
    }
    this.#holdRoom();
    this.#results[index] = checked;
    if (isCached) this.cachedImages += 1;
    else {
      const { startedAtMs: earliest = startedAtMs } = this.times;
      this.times.startedAtMs = Math.min(earliest, startedAtMs);
    }
    this.#unanswered -= 1;
    if (this.#unanswered > 0) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.times.answeredAtMs = performance.now();
    this.#settle.resolve(this.#results);
  }

  #checked(result: EncodedOutput[] | Error): EncodedOutput[] | Error {
    if (result instanceof Error) return result;
    try {
      checkResult(result, this.#expected);
      return result;
    } catch (error) {
      return error as Error;
    }
  }

  #faultOf(index: number, error: Error): RpcError {
    const prefix = requestPrefix(this.#plan.id);
    if (error instanceof NonFiniteOutputError) {
      return new RpcError(GrpcStatus.INTERNAL, `${prefix}${error.message}`);
    }
    if (error instanceof RefusedImageError) return invalidArgument(`${prefix}${error.message}`);
    const { name } = this.#requests[index]!;
    this.#serving.hooks.onEvent('error', 'inference failed', { ...name, error });
    const message = `${prefix}the computation failed; see the log of the server`;
    return new RpcError(GrpcStatus.INTERNAL, message);
  }

  #faultOfDrop(reason: DropReason): RpcError {
    return reason === 'late' ? timedOut() : queueFull(this.#plan.id);
  }

  /** Takes the other images out of the queue, too; no effect after the end. */
  #fail(error: RpcError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    for (const request of this.#requests) this.#serving.queue.remove(request);
    this.#settle.reject(error);
    this.release();
  }

  #holdRoom(): void {
    if (this.#holdsRoom) return;
    this.#holdsRoom = true;
    this.#client.room.hold(this.#answerBytes);
  }

  /** Images in the network keep their room until they return. */
  #freeRoom(): void {
    if (!this.#isReleased || this.#computing.size > 0 || !this.#holdsRoom) return;
    this.#holdsRoom = false;
    this.#client.room.release(this.#answerBytes);
    this.#serving.queue.wake();
  }
}

function checkSize(id: string, bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw invalidArgument(
    `${requestPrefix(id)}the answer would take ${bytes} bytes, wanted at most ${maxBytes} (limits.maxAnswerMiB): ask for fewer images or outputs`,
  );
}
