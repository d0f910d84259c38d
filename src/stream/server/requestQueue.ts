/**
 * The images that wait for the network: one queue over all streams, bounded in images and bytes.
 *
 * turns.ts decides whose turn it is, eviction.ts which image leaves a full queue. Images of one size
 * and with the same outputs may share a batch; an image waits for others at most `maxDelayMs`. One
 * batch is in the network at a time.
 */
import type { EncodedOutput, OutputRequest } from '../../contract/outputs.js';
import { chooseEvictions, hasRoomFor, type QueueLimits } from './eviction.js';
import type { InferenceEngine, TeacherServerHooks } from './serving.js';
import {
  type DropReason,
  type QueuedRequest,
  type RequestIntake,
  Turns,
  type Waiting,
} from './turns.js';

export interface BatchPolicy {
  readonly maxImages: number;
  readonly maxDelayMs: number;
}

type Results = Array<EncodedOutput[] | Error>;

/** One call of the engine. */
interface ForwardPass {
  readonly requests: readonly QueuedRequest[];
  readonly seconds: number;
  /** The error of a pass that failed as a whole. */
  readonly fault?: Error;
}

export class RequestQueue implements RequestIntake {
  readonly #engine: InferenceEngine;
  readonly #limits: QueueLimits;
  readonly #batch: BatchPolicy;
  readonly #hooks: TeacherServerHooks;
  readonly #turns = new Turns();
  #busy = false;
  #wakeScheduled = false;
  #batchTimer: NodeJS.Timeout | undefined;
  #passes = 0;
  /** Duration of the shortest forward pass so far; 0 before the first. */
  #shortestPassMs = 0;

  constructor(
    engine: InferenceEngine,
    limits: QueueLimits,
    batch: BatchPolicy,
    hooks: TeacherServerHooks,
  ) {
    this.#engine = engine;
    this.#limits = limits;
    this.#batch = batch;
    this.#hooks = hooks;
  }

  /** Images waiting. */
  get size(): number {
    return this.#turns.size;
  }

  /** Returns false, and calls nothing, if the queue is full and no image may be evicted. */
  submit(request: QueuedRequest): boolean {
    if (!hasRoomFor(request, this.#turns, this.#limits)) {
      const waiting = this.#turns.lines().flatMap((line) => line.map((one) => one.request));
      const victims = chooseEvictions(waiting, request, this.#limits);
      if (victims === undefined) return false;
      for (const victim of victims) this.#drop(victim, 'evicted');
    }
    this.#turns.add({ request, batchKey: batchKeyOf(request), arrivedAtMs: performance.now() });
    this.#reportSize();
    // Deferred, so that images which arrived together share a batch without a delay.
    this.wake();
    return true;
  }

  /** Takes a waiting request out. Returns false if its batch has already started. */
  remove(request: QueuedRequest): boolean {
    if (!this.#turns.remove(request)) return false;
    this.#reportSize();
    request.onLeave();
    return true;
  }

  /** Tries again to start requests that couldn't start before. */
  wake(): void {
    if (this.#wakeScheduled) return;
    this.#wakeScheduled = true;
    setImmediate(() => {
      this.#wakeScheduled = false;
      this.#dispatch();
    });
  }

  #drop(request: QueuedRequest, reason: DropReason): void {
    if (this.remove(request)) request.onDropped(reason);
  }

  #dispatch(): void {
    if (this.#busy) return;
    if (this.#turns.size === 0) {
      clearTimeout(this.#batchTimer);
      return;
    }
    this.#dropLate();
    const batchKey = this.#nextBatchKey();
    if (batchKey === undefined) return;
    clearTimeout(this.#batchTimer);
    const batch = this.#takeBatch(batchKey);
    this.#busy = true;
    void this.#run(batch).finally(() => {
      this.#busy = false;
      this.#dispatch();
    });
  }

  /**
   * Drops images whose deadline comes before even the shortest pass could end: under overload they would
   * be computed in vain. An image that had less time from the start is tried all the same, as otherwise
   * one slow first pass would refuse such images forever.
   */
  #dropLate(): void {
    const now = performance.now();
    const late: QueuedRequest[] = [];
    this.#turns.forEach(({ request, arrivedAtMs }) => {
      const leftMs = arrivedAtMs + request.timeoutMs - now;
      const isLate = leftMs < this.#shortestPassMs && request.timeoutMs >= this.#shortestPassMs;
      if (isLate) late.push(request);
    });
    for (const request of late) this.#drop(request, 'late');
  }

  /**
   * The batch key of the first image, by turns, that has waited long enough or can fill a batch;
   * undefined if all have to wait.
   */
  #nextBatchKey(): string | undefined {
    const { maxDelayMs } = this.#batch;
    const now = performance.now();
    let nextDueMs = Number.POSITIVE_INFINITY;
    const counts = new Map<string, number>();
    for (const [head] of this.#turns.lines()) {
      if (!head?.request.mayStart()) continue;
      const { batchKey } = head;
      const dueMs = head.arrivedAtMs + maxDelayMs;
      if (dueMs <= now) return batchKey;
      const count = counts.get(batchKey) ?? this.#countBatchable(batchKey);
      if (count >= this.#mostTogether(head.request)) return batchKey;
      counts.set(batchKey, count);
      nextDueMs = Math.min(nextDueMs, dueMs);
    }
    clearTimeout(this.#batchTimer);
    if (Number.isFinite(nextDueMs)) {
      this.#batchTimer = setTimeout(() => this.#dispatch(), Math.ceil(nextDueMs - now));
    }
    return undefined;
  }

  /** Images of this size in one batch, at most. */
  #mostTogether({ image }: QueuedRequest): number {
    const { batchPixels = Number.POSITIVE_INFINITY } = this.#engine;
    const gaining = Math.floor(batchPixels / (image.height * image.width));
    return Math.max(1, Math.min(this.#batch.maxImages, gaining));
  }

  #countBatchable(batchKey: string): number {
    let count = 0;
    for (const line of this.#turns.lines()) {
      if (!line[0]?.request.mayStart()) continue;
      const other = line.findIndex((waiting) => waiting.batchKey !== batchKey);
      count += other < 0 ? line.length : other;
    }
    return count;
  }

  /** Takes one image per turn; a run whose next image doesn't fit keeps its place. */
  #takeBatch(batchKey: string): Waiting[] {
    const batch: Waiting[] = [];
    const hasRoom = () =>
      batch.length === 0 || batch.length < this.#mostTogether(batch[0]!.request);
    const fits = (one: Waiting) => hasRoom() && one.batchKey === batchKey && one.request.mayStart();
    for (let before = -1; before < batch.length && hasRoom(); ) {
      before = batch.length;
      for (const one of this.#turns.heads(fits)) {
        one.request.onStart();
        this.#turns.take(one);
        batch.push(one);
      }
    }
    this.#reportSize();
    return batch;
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    const requests = batch.map(({ request }) => request);
    const now = performance.now();
    const queuedSeconds = batch.map(({ arrivedAtMs }) => (now - arrivedAtMs) / 1000);
    for (const seconds of queuedSeconds) this.#hooks.onQueued(seconds);
    const longestQueuedSeconds = Math.max(...queuedSeconds);
    const running = inferBatch(this.#engine, requests, (pass) =>
      this.#afterPass(pass, longestQueuedSeconds),
    );
    for (const request of requests) request.onLeave();
    const results = await running;
    requests.forEach((request, index) => {
      request.onResult(results[index] ?? new Error('the engine returned no result for this image'));
    });
  }

  #afterPass({ requests, seconds, fault }: ForwardPass, longestQueuedSeconds: number): void {
    const names = requests.map(({ name }) => name);
    const batch = ++this.#passes;
    this.#hooks.onBatch({ batch, images: names, longestQueuedSeconds, seconds });
    if (fault === undefined) {
      const ms = seconds * 1000;
      this.#shortestPassMs = Math.min(this.#shortestPassMs || ms, ms);
    } else if (requests.length > 1) {
      const text = 'a batch failed; its images are retried one by one';
      this.#hooks.onEvent('warn', text, { batch, images: names, error: fault });
    }
  }

  #reportSize(): void {
    this.#hooks.onQueueSize(this.#turns.size, this.#turns.bytes);
  }
}

/** By list: a stream's images share one, as do the requests that name the same outputs. */
const requestedTexts = new WeakMap<readonly OutputRequest[], string>();

function batchKeyOf({ image, outputs }: QueuedRequest): string {
  let requested = requestedTexts.get(outputs);
  if (requested === undefined) {
    requested = outputs.map(({ output, encoding }) => `${output}:${encoding}`).join();
    requestedTexts.set(outputs, requested);
  }
  return `${image.height}x${image.width} ${requested}`;
}

/**
 * Runs a batch through the network and keeps its requests isolated: a batch that fails as a whole is
 * tried again image by image, so that only the faulty one fails. Never rejects: resolves with a result
 * or an Error for each request, of which there is at least one.
 */
async function inferBatch(
  engine: InferenceEngine,
  requests: readonly QueuedRequest[],
  onPass: (pass: ForwardPass) => void,
): Promise<Results> {
  const whole = await inferOnce(engine, requests, onPass);
  if (!(whole instanceof Error)) return whole;
  if (requests.length === 1) return [whole];
  const results: Results = [];
  for (const request of requests) {
    // If the client has left, the result isn't needed.
    const single = request.isWanted() ? await inferOnce(engine, [request], onPass) : whole;
    results.push(single instanceof Error ? single : (single[0] ?? whole));
  }
  return results;
}

async function inferOnce(
  engine: InferenceEngine,
  requests: readonly QueuedRequest[],
  onPass: (pass: ForwardPass) => void,
): Promise<Results | Error> {
  const startedAtMs = performance.now();
  const seconds = () => (performance.now() - startedAtMs) / 1000;
  try {
    const images = requests.map(({ image }) => image);
    const results = await engine.infer(images, requests[0]?.outputs ?? []);
    onPass({ requests, seconds: seconds() });
    return results;
  } catch (error) {
    const fault = error instanceof Error ? error : new Error(String(error));
    onPass({ requests, seconds: seconds(), fault });
    return fault;
  }
}
