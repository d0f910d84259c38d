/** The served model: accepts requests, answers them through the shared queue, and counts what came of them. */
import type { Encoding } from '../../contract/outputs.js';
import { GrpcStatus, grpcCodeName, RpcError } from '../../rpc/errors.js';
import type { Serving } from '../../stream/server/imageRequests.js';
import type { BatchPolicy } from '../../stream/server/requestQueue.js';
import type { BatchReport, ServerLimits } from '../../stream/server/serving.js';
import type { RequestName } from '../../stream/server/turns.js';
import { printable } from '../../wire/printable.js';
import type { Client } from './clients.js';
import { type AnswerTensor, answerTensors } from './derivedOutputs.js';
import { Inference, type StreamPlace } from './inference.js';
import { type InferPlan, planOf, type ServedModel } from './inferRequest.js';
import { invalidArgument, notReady, stopping } from './modelErrors.js';
import { modelOutputs } from './modelTensors.js';
import type { DecodedRequest, Incoming } from './requestDecoder.js';
import type { InferAnswer } from './responseEncoder.js';
import { Statistics } from './statistics.js';

export interface ModelOptions {
  readonly modelName: string;
  readonly limits: ServerLimits;
  readonly encodings: readonly Encoding[];
  readonly batch: BatchPolicy;
}

export interface InferMethod {
  readonly method: 'ModelInfer' | 'ModelStreamInfer';
  /** A request has ended: answered, refused, failed or no longer wanted. */
  readonly onRequest: (method: string, code: string, seconds: number) => void;
}

/** A request that came, and what becomes of it. */
export interface Answering {
  /** The client's name for it; empty if it has none. */
  readonly id: string;
  /** Rejects with RpcError, or with the error of a bug. */
  readonly answer: Promise<InferAnswer>;
  /** Call once: when the connection has taken the answer, or nobody waits for it any more. */
  readonly end: () => void;
}

export class ModelServer {
  readonly statistics = new Statistics();
  readonly #options: ModelOptions;
  readonly #unended = new Set<Answering>();
  /** Names of images that this server has queued, for the statistics of forward passes. */
  readonly #names = new WeakSet<RequestName>();
  #serving: { readonly serving: Serving; readonly model: ServedModel } | undefined;
  #draining = false;
  #requests = 0;
  #onIdle: (() => void) | undefined;

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#serving !== undefined && !this.#draining;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  serve(serving: Serving): void {
    const { modelName, limits, encodings } = this.#options;
    const { info } = serving.engine;
    const outputs = modelOutputs(info, encodings);
    const model = { name: modelName, outputs, outputStride: info.outputStride, limits };
    this.#serving = { serving, model };
  }

  /** Throws UNAVAILABLE while the network loads. */
  requireModel(): { readonly serving: Serving; readonly model: ServedModel } {
    if (this.#serving === undefined) throw notReady(this.#options.modelName);
    return this.#serving;
  }

  /**
   * Begins a request; whatever is wrong with it becomes its answer.
   *
   * @param deadlineMs the call's own, in milliseconds since 1970; Infinity: none
   * @param place null: a call of its own
   */
  accept(
    incoming: Incoming<DecodedRequest>,
    client: Client,
    deadlineMs: number,
    { method, onRequest }: InferMethod,
    place: StreamPlace | null = null,
  ): Answering {
    const arrivedAtMs = performance.now();
    let inference: Inference | undefined;
    let images = 0;
    const answering: Answering = {
      id: 'malformed' in incoming ? '' : incoming.request.id,
      answer: this.#answer(incoming, arrivedAtMs, (plan) => {
        images = plan.images.length;
        inference = this.#infer(plan, client, deadlineMs, place);
        return inference;
      }),
      end: () => {
        inference?.cancel();
        // Even if it held no memory: the next of its stream is the first now.
        if (place !== null) this.#serving?.serving.queue.wake();
        this.#unended.delete(answering);
        if (this.#unended.size === 0) this.#onIdle?.();
      },
    };
    this.#unended.add(answering);
    answering.answer.then(
      ({ tensors }) => {
        this.#countEnd('OK', arrivedAtMs, images, { method, onRequest });
        this.#countSent(tensors);
      },
      (error: unknown) => {
        this.statistics.addFailed(arrivedAtMs);
        const code = error instanceof RpcError ? error.code : GrpcStatus.INTERNAL;
        this.#countEnd(grpcCodeName(code), arrivedAtMs, images, { method, onRequest });
      },
    );
    return answering;
  }

  #countEnd(
    code: string,
    arrivedAtMs: number,
    images: number,
    { method, onRequest }: InferMethod,
  ): void {
    onRequest(method, code, (performance.now() - arrivedAtMs) / 1000);
    for (let image = 0; image < images; image++) this.#serving?.serving.hooks.onAnswer(code);
  }

  /** A forward pass has ended. */
  onBatch({ images, seconds }: BatchReport): void {
    if (images.some((name) => this.#names.has(name))) {
      this.statistics.addPass(images.length, seconds);
    }
  }

  /** Refuses new requests. Resolves when the accepted ones have ended. */
  drain(): Promise<void> {
    this.#draining = true;
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      if (this.#unended.size === 0) resolve();
    });
  }

  async #answer(
    incoming: Incoming<DecodedRequest>,
    arrivedAtMs: number,
    infer: (plan: InferPlan) => Inference,
  ): Promise<InferAnswer> {
    const plan = this.#plan(incoming);
    const inference = infer(plan);
    const results = await inference.answered;
    const tensors = await answerTensors(plan, results);
    const { queuedAtMs, startedAtMs, answeredAtMs = queuedAtMs } = inference.times;
    this.statistics.addAnswered({
      images: plan.images.length,
      cachedImages: inference.cachedImages,
      cachesAnswers: this.requireModel().serving.cachesAnswers,
      arrivedAtMs,
      queuedAtMs,
      startedAtMs,
      answeredAtMs,
      encodedAtMs: performance.now(),
    });
    return { modelName: this.#options.modelName, id: plan.id, tensors };
  }

  /** Throws RpcError. */
  #plan(incoming: Incoming<DecodedRequest>): InferPlan {
    if (this.#draining) throw stopping();
    const { model } = this.requireModel();
    if ('malformed' in incoming) {
      throw invalidArgument(`message: not a ModelInferRequest (${incoming.malformed})`);
    }
    return planOf(incoming, model);
  }

  #infer(
    plan: InferPlan,
    client: Client,
    deadlineMs: number,
    place: StreamPlace | null,
  ): Inference {
    const { serving } = this.requireModel();
    const { requestTimeoutMs } = serving.limits;
    const timeoutMs = Math.min(
      requestTimeoutMs,
      plan.timeoutMs ?? requestTimeoutMs,
      Math.max(1, deadlineMs - Date.now()),
    );
    const request = ++this.#requests;
    const names = plan.images.map((_, image) => {
      const sample = plan.images.length > 1 ? `${plan.id}[${image}]` : plan.id;
      const name = { run: client.run, request, attempt: 0, sample: printable(sample) };
      this.#names.add(name);
      return name;
    });
    return new Inference(serving, client, plan, timeoutMs, names, place);
  }

  #countSent(tensors: readonly AnswerTensor[]): void {
    for (const { tensor, parts } of tensors) {
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      this.#serving?.serving.hooks.onSent(tensor.datatype === 'FP16' ? 'fp16' : 'fp32', bytes);
    }
  }
}
