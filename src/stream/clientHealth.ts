/** How one teacher has done of late: failures in a row, and when it may be tried again. */
export interface BackoffPolicy {
  readonly firstBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly breakerFailures: number;
  /** Draws in [0, 1). */
  readonly jitter: () => number;
}

export class TeacherHealth {
  readonly #policy: BackoffPolicy;
  #failures = 0;
  #pause: NodeJS.Timeout | undefined;

  constructor(policy: BackoffPolicy) {
    this.#policy = policy;
  }

  /** Sick: so many failures in a row that the stream is to be given up. */
  get sick(): boolean {
    return this.#failures >= this.#policy.breakerFailures;
  }

  /** The last thing that it did was a failure. */
  get doubtful(): boolean {
    return this.#failures > 0;
  }

  /** Counts a failure; returns how long to leave the teacher alone, in ms. */
  failed(): number {
    const { firstBackoffMs, maxBackoffMs } = this.#policy;
    const delayMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** this.#failures);
    this.#failures++;
    return this.#spread(delayMs);
  }

  /** Wait for a teacher that won't fit before somebody changes it. */
  refused(): number {
    return this.#spread(this.#policy.maxBackoffMs);
  }

  succeeded(): void {
    this.#failures = 0;
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
