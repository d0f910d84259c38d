/**
 * Prefetches the next batches, crops from the loader and the teachers' replies to them, while the
 * current step computes.
 */
import { setMaxListeners } from 'node:events';
import type { Batch } from '../data/types.js';
import type { Teacher, TeacherImage, TeacherReply } from '../contract/teacher.js';

/** Yields the batches of a run in order. */
export interface BatchSource {
  next(): Promise<Batch>;
}

/** One batch with its replies, and how long the caller waited for each of the two. */
export interface FedBatch {
  readonly batch: Batch;
  /** One per crop, in order; null in a run without a teacher. */
  readonly replies: TeacherReply[] | null;
  readonly dataSeconds: number;
  readonly teacherSeconds: number;
}

interface Prefetched {
  readonly batch: Promise<Batch>;
  readonly replies: Promise<TeacherReply[]> | null;
}

/**
 * Starts to load and request batches at the first next(), which keeps the queue filled. Failed
 * batches are reported by the next() whose turn it is. close() ends a feed; don't call next() after it.
 */
export class Feed {
  readonly #source: BatchSource;
  readonly #teacher: Teacher | null;
  readonly #prefetched: Prefetched[] = [];
  readonly #prefetchBatches: number;
  #remaining: number;
  readonly #stop = new AbortController();

  /**
   * @param prefetchBatches how many batches are requested while the caller works on one; with 0,
   *   nothing is requested before next() is called
   * @param batches how many batches the run has left
   */
  constructor(
    source: BatchSource,
    teacher: Teacher | null,
    prefetchBatches: number,
    batches: number,
  ) {
    this.#source = source;
    this.#teacher = teacher;
    this.#prefetchBatches = prefetchBatches;
    this.#remaining = batches;
    // Every request in flight adds a listener.
    setMaxListeners(0, this.#stop.signal);
  }

  /** The next batch with its replies. Rejects with the error of the loader or the teacher. */
  async next(): Promise<FedBatch> {
    this.#fill();
    const first = this.#prefetched.shift();
    if (first === undefined) throw new Error('feed: more batches requested than the run has');
    const begin = performance.now();
    const batch = await first.batch;
    const gotBatch = performance.now();
    const replies = first.replies === null ? null : await first.replies;
    const gotReplies = performance.now();
    return {
      batch,
      replies,
      dataSeconds: (gotBatch - begin) / 1000,
      teacherSeconds: (gotReplies - gotBatch) / 1000,
    };
  }

  /** Cancels the requests in flight and abandons the prefetched batches. */
  close(): void {
    this.#stop.abort(new Error('feed closed'));
    for (const { batch, replies } of this.#prefetched) {
      batch.catch(() => {});
      replies?.catch(() => {});
    }
  }

  #fill(): void {
    // One more than is prefetched: next() takes it immediately.
    while (this.#prefetched.length <= this.#prefetchBatches && this.#remaining > 0) {
      this.#remaining -= 1;
      const batch = this.#source.next();
      const replies = this.#teacher === null ? null : this.#request(this.#teacher, batch);
      // next() reports a rejection, maybe steps later; until then it mustn't count as unhandled.
      batch.catch(() => {});
      replies?.catch(() => {});
      this.#prefetched.push({ batch, replies });
    }
  }

  async #request(teacher: Teacher, batch: Promise<Batch>): Promise<TeacherReply[]> {
    const images = teacherImages(await batch);
    return Promise.all(images.map((image) => teacher.request(image, this.#stop.signal)));
  }
}

/** The crops of a batch as requests to a teacher. */
export function teacherImages(batch: Batch): TeacherImage[] {
  return batch.crops.map((crop) => ({
    sample: crop.sample,
    augmentationSeed: crop.augmentationSeed,
    batch: batch.step,
    height: batch.height,
    width: batch.width,
    rgb: crop.rgb,
  }));
}
