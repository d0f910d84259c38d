/**
 * Keeps the next batches under way: crops from the loader, and the teachers' answers to them, while
 * the present step computes.
 */
import { setMaxListeners } from 'node:events';
import type { Batch } from '../data/types.js';
import type { Teacher, TeacherImage, TeacherReply } from '../contract/teacher.js';

/** Gives the batches of a run in order. */
export interface BatchSource {
  next(): Promise<Batch>;
}

/** One batch with its answers, and how long the caller waited for each part of it. */
export interface FedBatch {
  readonly batch: Batch;
  /** One a crop, in order; null in a run without a teacher. */
  readonly replies: TeacherReply[] | null;
  readonly dataSeconds: number;
  readonly teacherSeconds: number;
}

interface Ahead {
  readonly batch: Promise<Batch>;
  readonly replies: Promise<TeacherReply[]> | null;
}

export class Feed {
  readonly #source: BatchSource;
  readonly #teacher: Teacher | null;
  readonly #ahead: Ahead[] = [];
  readonly #prefetchBatches: number;
  #remaining: number;
  readonly #stop = new AbortController();

  /**
   * While the caller works on a batch, the next `prefetchBatches` are under way; with 0, nothing is
   * asked for before next() is called. `batches` are left in the run.
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
    // Every image that is under way listens.
    setMaxListeners(0, this.#stop.signal);
  }

  /** The next batch with its replies. Rejects as the loader or the teacher does. */
  async next(): Promise<FedBatch> {
    this.#fill();
    const first = this.#ahead.shift();
    if (first === undefined) throw new Error('feed: asked for more batches than the run has');
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

  /** Abandons what is under way. */
  close(): void {
    this.#stop.abort(new Error('feed closed'));
    for (const { batch, replies } of this.#ahead) {
      batch.catch(() => {});
      replies?.catch(() => {});
    }
  }

  #fill(): void {
    // One more than stays under way: it is taken at once.
    while (this.#ahead.length <= this.#prefetchBatches && this.#remaining > 0) {
      this.#remaining -= 1;
      const batch = this.#source.next();
      const replies = this.#teacher === null ? null : this.#ask(this.#teacher, batch);
      // A rejection is reported where it is awaited, maybe steps later; it isn't unhandled.
      batch.catch(() => {});
      replies?.catch(() => {});
      this.#ahead.push({ batch, replies });
    }
  }

  async #ask(teacher: Teacher, batch: Promise<Batch>): Promise<TeacherReply[]> {
    const images = teacherImages(await batch);
    return Promise.all(images.map((image) => teacher.request(image, this.#stop.signal)));
  }
}

/** The crops of a batch as a teacher takes them. */
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
