/** What ModelStatistics reports: figures of the requests of this protocol since the start. */
import type { InferStatisticsInput } from '../generated/inference/InferStatistics.js';
import type { ModelStatisticsInput } from '../generated/inference/ModelStatistics.js';
import type { StatisticDurationInput } from '../generated/inference/StatisticDuration.js';
import { MODEL_VERSION } from './modelErrors.js';

/** One request that was answered, in milliseconds of performance.now(). */
export interface AnsweredRequest {
  readonly images: number;
  /** Those whose answer was in the teacher's cache. */
  readonly cachedImages: number;
  /** Whether the teacher has a cache. */
  readonly cachesAnswers: boolean;
  readonly arrivedAtMs: number;
  readonly queuedAtMs: number;
  /** undefined: the network computed none of its images. */
  readonly startedAtMs: number | undefined;
  readonly answeredAtMs: number;
  readonly encodedAtMs: number;
}

class Duration {
  #count = 0;
  #ms = 0;

  add(ms: number, count = 1): void {
    this.#count += count;
    this.#ms += ms;
  }

  get message(): StatisticDurationInput {
    return { count: this.#count, ns: Math.round(this.#ms * 1e6) };
  }
}

const PHASES = [
  'success',
  'fail',
  'queue',
  'computeInput',
  'computeInfer',
  'computeOutput',
  'cacheHit',
  'cacheMiss',
] as const satisfies readonly (keyof InferStatisticsInput)[];

export class Statistics {
  readonly #phases = Object.fromEntries(PHASES.map((phase) => [phase, new Duration()])) as Record<
    (typeof PHASES)[number],
    Duration
  >;
  /** Forward passes with images of this protocol, by all of their images. */
  readonly #passes = new Map<number, Duration>();
  #images = 0;
  #executions = 0;
  #lastInferenceMs = 0;

  addAnswered(request: AnsweredRequest): void {
    const { arrivedAtMs, queuedAtMs, answeredAtMs, encodedAtMs, images, cachedImages } = request;
    const startedAtMs = request.startedAtMs ?? answeredAtMs;
    // As at Triton, only computed images count as inferences.
    this.#images += images - cachedImages;
    this.#lastInferenceMs = Date.now();
    this.#phases.success.add(encodedAtMs - arrivedAtMs);
    if (cachedImages === images) {
      this.#phases.cacheHit.add(answeredAtMs - queuedAtMs);
      return;
    }
    // A look-up is part of the queue's time.
    if (request.cachesAnswers) this.#phases.cacheMiss.add(0);
    this.#phases.computeInput.add(queuedAtMs - arrivedAtMs);
    this.#phases.queue.add(startedAtMs - queuedAtMs);
    this.#phases.computeInfer.add(answeredAtMs - startedAtMs);
    this.#phases.computeOutput.add(encodedAtMs - answeredAtMs);
  }

  addFailed(arrivedAtMs: number): void {
    this.#phases.fail.add(performance.now() - arrivedAtMs);
  }

  /** A forward pass of `images` images, at least one of them of this protocol. */
  addPass(images: number, seconds: number): void {
    const pass = this.#passes.get(images) ?? new Duration();
    pass.add(seconds * 1000);
    this.#passes.set(images, pass);
    this.#executions += 1;
  }

  message(modelName: string): ModelStatisticsInput {
    return {
      name: modelName,
      version: MODEL_VERSION,
      lastInference: this.#lastInferenceMs,
      inferenceCount: this.#images,
      executionCount: this.#executions,
      inferenceStats: Object.fromEntries(
        Object.entries(this.#phases).map(([phase, duration]) => [phase, duration.message]),
      ),
      batchStats: [...this.#passes]
        .sort(([a], [b]) => a - b)
        .map(([batchSize, duration]) => ({ batchSize, computeInfer: duration.message })),
    };
  }
}
