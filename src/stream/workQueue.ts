/**
 * The images that wait for the network: one bounded queue over all streams.
 *
 * Streams take turns, so that a student with many images in flight doesn't starve another. Images
 * of one size and with the same outputs may share a batch; an image waits for company at most
 * `maxDelayMs`. One batch is in the network at a time.
 */
import type { InferenceEngine, InferenceImage } from './engine.js';
import type { EncodedOutput, OutputRequest } from './names.js';
import type { TeacherServerHooks } from './serverHooks.js';

export interface Work {
  /** Whose turn it uses up. */
  readonly stream: object;
  readonly image: InferenceImage;
  readonly outputs: readonly OutputRequest[];
  /** The image is not held by the queue any more: its batch starts, or it was removed. */
  readonly onLeave: () => void;
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

  /** False when the queue is full; nothing is called then. */
  submit(work: Work): boolean {
    if (this.#size >= this.#capacityImages) return false;
    const waiting = { work, batchKey: batchKeyOf(work), arrivedAtMs: performance.now() };
    const line = this.#streams.get(work.stream);
    if (line) line.push(waiting);
    else this.#streams.set(work.stream, [waiting]);
    this.#resize(1);
    // Not at once: images that arrived together get into one batch without a delay.
    setImmediate(() => this.#dispatch());
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

  #dispatch(): void {
    if (this.#busy) return;
    const first = this.#streams.values().next().value?.[0];
    if (!first || this.#waitsForCompany(first)) return;
    clearTimeout(this.#companyTimer);
    const batch = this.#takeBatch(first.batchKey);
    const now = performance.now();
    for (const { arrivedAtMs } of batch) this.#hooks.onQueued((now - arrivedAtMs) / 1000);
    this.#busy = true;
    void this.#run(batch.map(({ work }) => work)).finally(() => {
      this.#busy = false;
      this.#dispatch();
    });
  }

  #waitsForCompany(first: Waiting): boolean {
    const { maxImages, maxDelayMs } = this.#batch;
    const restMs = first.arrivedAtMs + maxDelayMs - performance.now();
    if (restMs <= 0 || this.#countCompany(first.batchKey) >= maxImages) return false;
    clearTimeout(this.#companyTimer);
    this.#companyTimer = setTimeout(() => this.#dispatch(), Math.ceil(restMs));
    return true;
  }

  #countCompany(batchKey: string): number {
    let count = 0;
    for (const line of this.#streams.values()) {
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
        if (line[0]?.batchKey !== batchKey || batch.length >= this.#batch.maxImages) continue;
        batch.push(line.shift() as Waiting);
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
