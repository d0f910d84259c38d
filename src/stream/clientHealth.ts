/**
 * How one teacher has done of late: failures in a row, when it may be tried again, and how many
 * images it is trusted with.
 */
export interface BackoffPolicy {
  readonly firstBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly breakerFailures: number;
  readonly firstInflightImagesPerTeacher: number;
  readonly maxInflightImagesPerTeacher: number;
  /** Draws in [0, 1). */
  readonly jitter: () => number;
}

export class TeacherHealth {
  readonly #policy: BackoffPolicy;
  #failures = 0;
  /** Not whole while it grows. */
  #windowImages: number;
  /** Until the first time-out the window grows with every answer. */
  #growsFast = true;
  #pause: NodeJS.Timeout | undefined;

  constructor(policy: BackoffPolicy) {
    this.#policy = policy;
    const { firstInflightImagesPerTeacher, maxInflightImagesPerTeacher } = policy;
    this.#windowImages = Math.min(firstInflightImagesPerTeacher, maxInflightImagesPerTeacher);
  }

  /** Sick: so many failures in a row that the stream is to be given up. */
  get sick(): boolean {
    return this.#failures >= this.#policy.breakerFailures;
  }

  /** The last that came of it was a failure. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  /** After a failure one image at a time shows whether the teacher is well again. */
  get windowImages(): number {
    return this.#failures > 0 ? 1 : Math.floor(this.#windowImages);
  }

  /** Counts a failure; returns how long to leave the teacher alone, in ms. */
  failed(): number {
    const { firstBackoffMs, maxBackoffMs } = this.#policy;
    const delayMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** this.#failures);
    this.#failures++;
    return this.#spread(delayMs);
  }

  /** A failure that says: too much at once. The window halves. */
  timedOut(): number {
    this.#growsFast = false;
    this.#windowImages = Math.max(1, Math.floor(this.#windowImages) / 2);
    return this.failed();
  }

  /** Wait for a teacher that won't fit before somebody changes it. */
  refused(): number {
    return this.#spread(this.#policy.maxBackoffMs);
  }

  succeeded(): void {
    this.#failures = 0;
    // After a time-out one more for every window of answers.
    const { maxInflightImagesPerTeacher } = this.#policy;
    const grown = this.#windowImages + (this.#growsFast ? 1 : 1 / this.#windowImages);
    this.#windowImages = Math.min(maxInflightImagesPerTeacher, grown);
    this.resume();
  }

  /** The teacher is to be left alone. */
  get paused(): boolean {
    return this.#pause !== undefined;
  }

  /** Leaves it alone for so long from now, then calls back; replaces an earlier pause. */
  pause(delayMs: number, onOver: () => void): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      onOver();
    }, delayMs);
  }

  resume(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
  }

  /** Half to whole of a delay, so that students that failed together don't return together. */
  #spread(delayMs: number): number {
    return delayMs * (0.5 + 0.5 * this.#policy.jitter());
  }
}
