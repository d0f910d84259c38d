/**
 * The images that wait for the network: one bounded queue over all streams.
 *
 * Streams take turns, so that a student with many images in flight doesn't starve another, and a
 * full queue has room for a stream that holds less than its share of it. Images of one size and
 * with the same outputs may share a batch; an image waits for company at most `maxDelayMs`. One
 * batch is in the network at a time.
 */
import type { InferenceEngine, InferenceImage } from './engine.js';
import type { EncodedOutput, OutputRequest } from './names.js';
import type { TeacherServerHooks } from './serverHooks.js';

export interface Work {
  /** Whose turn it uses up. */
  readonly stream: object;
  readonly image: InferenceImage;
  readonly outputs: readonly OutputRequest[];
  /** False while there is no room for the answer; `wake` says that there may be some again. */
  readonly mayStart: () => boolean;
  /** It goes into the next batch; asked for the stream's next image, `mayStart` counts it. */
  readonly onStart: () => void;
  /** The image is not held by the queue any more: its batch starts, or it was removed. */
  readonly onLeave: () => void;
  /** Its place went to a stream that held less than its share; onLeave came before. */
  readonly onEvicted: () => void;
  /** Not called for removed work. */
  readonly onResult: (result: EncodedOutput[] | Error) => void;
}

export interface BatchPolicy {
  readonly maxImages: number;
  readonly maxDelayMs: number;
}

interface Waiting {
  readonly work: Work;
  readonly batchKey: string;
  readonly arrivedAtMs: number;
}

export class WorkQueue {
  readonly #engine: InferenceEngine;
  readonly #capacityImages: number;
  readonly #batch: BatchPolicy;
  readonly #hooks: TeacherServerHooks;
  /** In order of turns: the first stream is next. No list is empty. */
  readonly #streams = new Map<object, Waiting[]>();
  #size = 0;
  #busy = false;
  #wakes = false;
  #companyTimer: NodeJS.Timeout | undefined;

  constructor(
    engine: InferenceEngine,
    capacityImages: number,
    batch: BatchPolicy,
    hooks: TeacherServerHooks,
  ) {
    this.#engine = engine;
    this.#capacityImages = capacityImages;
    this.#batch = batch;
    this.#hooks = hooks;
  }

  /** Images waiting. */
  get size(): number {
    return this.#size;
  }

  /**
   * False when the queue is full and the stream has its share of it; nothing is called then. With
   * less than its share, the newest image of the longest line is evicted for this one.
   */
  submit(work: Work): boolean {
    if (this.#size >= this.#capacityImages && !this.#makeRoom(work.stream)) return false;
    const waiting = { work, batchKey: batchKeyOf(work), arrivedAtMs: performance.now() };
    const line = this.#streams.get(work.stream);
    if (line) line.push(waiting);
    else this.#streams.set(work.stream, [waiting]);
    this.#resize(1);
    // Not at once: images that arrived together get into one batch without a delay.
    this.wake();
    return true;
  }

  /** Takes waiting work out. False when its batch has started already. */
  remove(work: Work): boolean {
    const line = this.#streams.get(work.stream);
    const index = line?.findIndex((waiting) => waiting.work === work) ?? -1;
    if (!line || index < 0) return false;
    line.splice(index, 1);
    if (line.length === 0) this.#streams.delete(work.stream);
    this.#resize(-1);
    work.onLeave();
    return true;
  }

  /** Work that couldn't start may start now. */
  wake(): void {
    if (this.#wakes) return;
    this.#wakes = true;
    setImmediate(() => {
      this.#wakes = false;
      this.#dispatch();
    });
  }

  #makeRoom(stream: object): boolean {
    const own = this.#streams.get(stream)?.length ?? 0;
    const streams = this.#streams.size + (own === 0 ? 1 : 0);
    const longest = [...this.#streams.values()].reduce((a, b) => (b.length > a.length ? b : a), []);
    // With one image more than the longest line keeps, the two would only change places.
    if (own >= this.#capacityImages / streams || longest.length <= own + 1) return false;
    const { work } = longest.at(-1) as Waiting;
    this.remove(work);
    work.onEvicted();
    return true;
  }

  #dispatch(): void {
    if (this.#busy) return;
    const batchKey = this.#nextKey();
    if (batchKey === undefined) return;
    clearTimeout(this.#companyTimer);
    const batch = this.#takeBatch(batchKey);
    const now = performance.now();
    for (const { arrivedAtMs } of batch) this.#hooks.onQueued((now - arrivedAtMs) / 1000);
    this.#busy = true;
    void this.#run(batch.map(({ work }) => work)).finally(() => {
      this.#busy = false;
      this.#dispatch();
    });
  }

  /**
   * The first stream's, by turns, whose image has waited long enough or has a whole batch of
   * company; undefined when all have to wait.
   */
  #nextKey(): string | undefined {
    const { maxImages, maxDelayMs } = this.#batch;
    const now = performance.now();
    let nextDueMs = Number.POSITIVE_INFINITY;
    const counts = new Map<string, number>();
    for (const [head] of this.#streams.values()) {
      if (!head?.work.mayStart()) continue;
      const { batchKey } = head;
      const dueMs = head.arrivedAtMs + maxDelayMs;
      if (dueMs <= now) return batchKey;
      const count = counts.get(batchKey) ?? this.#countCompany(batchKey);
      if (count >= maxImages) return batchKey;
      counts.set(batchKey, count);
      nextDueMs = Math.min(nextDueMs, dueMs);
    }
    clearTimeout(this.#companyTimer);
    if (Number.isFinite(nextDueMs)) {
      this.#companyTimer = setTimeout(() => this.#dispatch(), Math.ceil(nextDueMs - now));
    }
    return undefined;
  }

  #countCompany(batchKey: string): number {
    let count = 0;
    for (const line of this.#streams.values()) {
      if (!line[0]?.work.mayStart()) continue;
      const other = line.findIndex((waiting) => waiting.batchKey !== batchKey);
      count += other < 0 ? line.length : other;
    }
    return count;
  }

  /** One image a turn; a stream whose next image doesn't fit keeps its place. */
  #takeBatch(batchKey: string): Waiting[] {
    const batch: Waiting[] = [];
    for (let found = true; found && batch.length < this.#batch.maxImages; ) {
      found = false;
      for (const [stream, line] of [...this.#streams]) {
        const head = line[0];
        if (head?.batchKey !== batchKey || batch.length >= this.#batch.maxImages) continue;
        if (!head.work.mayStart()) continue;
        head.work.onStart();
        batch.push(head);
        line.shift();
        this.#streams.delete(stream);
        if (line.length > 0) this.#streams.set(stream, line);
        found = true;
      }
    }
    this.#resize(-batch.length);
    return batch;
  }

  async #run(batch: readonly Work[]): Promise<void> {
    const startedAtMs = performance.now();
    const running = inferAll(this.#engine, batch);
    for (const work of batch) work.onLeave();
    const results = await running;
    this.#hooks.onBatch(batch.length, (performance.now() - startedAtMs) / 1000);
    batch.forEach((work, index) => {
      work.onResult(results[index] ?? new Error('the engine gave no result for this image'));
    });
  }

  #resize(change: number): void {
    this.#size += change;
    this.#hooks.onQueueSize(this.#size);
  }
}

/** Never rejects: a fault of the whole batch becomes a fault of each image. */
async function inferAll(
  engine: InferenceEngine,
  batch: readonly Work[],
): Promise<Array<EncodedOutput[] | Error>> {
  try {
    const outputs = batch[0]?.outputs ?? [];
    return await engine.infer(
      batch.map(({ image }) => image),
      outputs,
    );
  } catch (error) {
    const fault = error instanceof Error ? error : new Error(String(error));
    return batch.map(() => fault);
  }
}

function batchKeyOf({ image, outputs }: Work): string {
  const wishes = outputs.map(({ output, encoding }) => `${output}:${encoding}`).join();
  return `${image.height}x${image.width} ${wishes}`;
}
