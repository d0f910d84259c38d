/** The inference thread as an engine: pixels and answers are moved, not copied, between threads. */
import type { Worker } from 'node:worker_threads';
import { startThread } from '../../src/data/startThread.js';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import { ProviderError } from '../../src/graphs/providerError.js';
import type { InferenceEngine } from '../../src/stream/server/serving.js';
import {
  type InferenceImage,
  NonFiniteOutputError,
  RefusedImageError,
} from '../../src/contract/inference.js';
import type { EncodedOutput, OutputRequest } from '../../src/contract/outputs.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type {
  ErrorParts,
  InferMessage,
  NetworkResults,
  WorkerImage,
  WorkerMessage,
  WorkerResult,
  WorkerSetup,
} from './workerProtocol.js';

type Results = NetworkResults;

interface Job {
  readonly resolve: (results: Results) => void;
  readonly reject: (error: Error) => void;
  readonly limit: NodeJS.Timeout;
}

/** A thread inside of native code hears nothing. */
const CLOSE_LIMIT_MS = 5000;

/** The thread can't be ended, and so keeps the process alive. */
export class EngineStuckError extends Error {
  override readonly name = 'EngineStuckError';
}

export class WorkerEngine implements InferenceEngine {
  readonly info: TeacherInfo;
  readonly classifier: EncodedTensor | null;
  /** Resolves with the reason when the thread ends without being told to. */
  readonly died: Promise<Error>;
  readonly #worker: Worker;
  readonly #maxBatchMs: number;
  readonly #jobs = new Map<number, Job>();
  #nextJob = 0;
  #closed = false;
  #deathCause: Error | undefined;
  #die: (reason: Error) => void = () => {};

  /**
   * Starts the thread; resolves when the network is loaded and warm. Rejects with
   * CheckpointError, or with the thread's own error. A thread that takes longer than `maxBatchMs`
   * for one batch counts as dead: it will not come back.
   */
  static async start(
    setup: WorkerSetup,
    maxBatchMs: number,
    signal?: AbortSignal,
  ): Promise<WorkerEngine> {
    const worker = startThread(import.meta.url, './worker.ts', setup);
    try {
      return new WorkerEngine(worker, await ready(worker, signal), maxBatchMs);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  private constructor(worker: Worker, { info, classifier }: Ready, maxBatchMs: number) {
    this.#worker = worker;
    this.#maxBatchMs = maxBatchMs;
    this.info = info;
    this.classifier = classifier;
    worker.on('message', (message: WorkerMessage) => this.#receive(message));
    this.died = new Promise((resolve) => {
      this.#die = (reason: Error) => {
        if (this.#closed) return;
        this.#deathCause ??= reason;
        this.#rejectAll(this.#deathCause);
        resolve(this.#deathCause);
      };
      worker.on('error', (error) => this.#die(error as Error));
      worker.on('exit', (code) => this.#die(new Error(`the inference thread ended with ${code}`)));
    });
  }

  infer(images: readonly InferenceImage[], outputs: readonly OutputRequest[]): Promise<Results> {
    if (this.#deathCause) return Promise.reject(this.#deathCause);
    // Pixels are views on gRPC's message: a copy of their own can be moved.
    const moved: WorkerImage[] = images.map(({ height, width, rgb }) => ({
      height,
      width,
      rgb: new Uint8Array(rgb),
    }));
    const job = this.#nextJob++;
    const message: InferMessage = { job, images: moved, outputs };
    return new Promise((resolve, reject) => {
      this.#jobs.set(job, { resolve, reject, limit: this.#startLimit() });
      this.#worker.postMessage(
        message,
        moved.map(({ rgb }) => rgb.buffer),
      );
    });
  }

  /** Ends the thread; rejects when it can't be ended: it is inside of native code. */
  async close(): Promise<void> {
    this.#closed = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new EngineStuckError(
        `the inference thread doesn't end in ${CLOSE_LIMIT_MS} ms`,
      );
      timer = setTimeout(() => reject(error), CLOSE_LIMIT_MS);
    });
    try {
      await Promise.race([this.#worker.terminate(), late]);
    } finally {
      clearTimeout(timer);
      this.#rejectAll(new Error('the engine is closed'));
    }
  }

  #startLimit(): NodeJS.Timeout {
    const seconds = this.#maxBatchMs / 1000;
    const error = new Error(`a batch has been in the inference thread for ${seconds} s: it hangs`);
    return setTimeout(() => this.#die(error), this.#maxBatchMs);
  }

  #rejectAll(error: Error): void {
    for (const { reject, limit } of this.#jobs.values()) {
      clearTimeout(limit);
      reject(error);
    }
    this.#jobs.clear();
  }

  #receive(message: WorkerMessage): void {
    if (message.kind !== 'done' && message.kind !== 'failed') return;
    const job = this.#jobs.get(message.job);
    this.#jobs.delete(message.job);
    clearTimeout(job?.limit);
    if (message.kind === 'failed') job?.reject(new Error(message.message));
    else job?.resolve(message.results.map(fromWorker));
  }
}

type Ready = Pick<InferenceEngine, 'info' | 'classifier'>;

function ready(worker: Worker, signal?: AbortSignal): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error('stopped while the network was loading'));
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the inference thread ended with ${code}`)));
    worker.once('message', (message: WorkerMessage) => {
      if (message.kind === 'ready') resolve(message);
      else if (message.kind === 'unusable') reject(fromParts(message.error));
    });
  });
}

function fromParts({ name, message, code }: ErrorParts): Error {
  if (name === 'CheckpointError') return new CheckpointError(message);
  if (name === 'ProviderError') return new ProviderError(message);
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

function fromWorker(result: WorkerResult): EncodedOutput[] | Error {
  if ('outputs' in result) return result.outputs;
  const { reason, message } = result.failure;
  if (reason === 'non_finite') return new NonFiniteOutputError(message);
  return reason === 'refused' ? new RefusedImageError(message) : new Error(message);
}
