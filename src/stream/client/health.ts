/** What a client knows of one teacher: how it has done of late, how fast it answers, what it takes. */
import type { TeacherImage } from '../../contract/teacher.js';
import type { Agreement } from './contract.js';

export interface BackoffPolicy {
  readonly firstBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly breakerFailures: number;
  readonly firstInflightImagesPerTeacher: number;
  readonly maxInflightImagesPerTeacher: number;
  /** Draws in [0, 1). */
  readonly jitter: () => number;
}

/**
 * Failures in a row, when the teacher may be tried again, and how many images it is trusted with.
 */
export class TeacherHealth {
  readonly #policy: BackoffPolicy;
  #failures = 0;
  /** Not whole while it grows. */
  #windowImages: number;
  /** Until the first time-out the window grows with every answer. */
  #growsFast = true;

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
  }

  /** Half to whole of a delay, so that students that failed together don't return together. */
  #spread(delayMs: number): number {
    return delayMs * (0.5 + 0.5 * this.#policy.jitter());
  }
}

/** Time in which a teacher that is connected gets no image. */
export class Pause {
  #timer: NodeJS.Timeout | undefined;

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** For so long from now, then calls back; replaces an earlier pause, which doesn't call back. */
  begin(delayMs: number, onOver: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      onOver();
    }, delayMs);
  }

  /** Ends it now, without the call. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Share of the newest answer in the mean. */
const NEWEST = 0.2;

/** How fast one teacher answers while it has something to do. */
export class TeacherPace {
  #sinceMs = 0;
  #msAnImage: number | undefined;

  /** Mean time from one answer to the next, the newest weighing most; undefined before the first. */
  get msAnImage(): number | undefined {
    return this.#msAnImage;
  }

  /** An image is sent to it; `load` images were there before. */
  sent(load: number): void {
    if (load === 0) this.#sinceMs = performance.now();
  }

  answered(): void {
    const now = performance.now();
    const ms = now - this.#sinceMs;
    this.#sinceMs = now;
    this.#msAnImage =
      this.#msAnImage === undefined ? ms : this.#msAnImage + NEWEST * (ms - this.#msAnImage);
  }
}

/** What a teacher takes of one stream's images: limits of the welcome, and pixels granted. */
export class TeacherRoom {
  readonly #address: string;
  readonly #agreement: Agreement;
  #creditBytes: number;

  constructor(address: string, agreement: Agreement) {
    this.#address = address;
    this.#agreement = agreement;
    this.#creditBytes = agreement.uploadCreditBytes;
  }

  get maxInflightImages(): number {
    return this.#agreement.maxInflightImages;
  }

  /** Why such an image will never be taken; undefined when it will. */
  refusalOf({ height, width, rgb }: TeacherImage): string | undefined {
    const { maxImagePixels, uploadCreditBytes } = this.#agreement;
    if (height * width > maxImagePixels) {
      return `image: ${height}x${width} pixels, teacher ${this.#address} takes at most ${maxImagePixels}`;
    }
    if (rgb.length > uploadCreditBytes) {
      return `image: ${rgb.length} bytes, teacher ${this.#address} grants at most ${uploadCreditBytes}`;
    }
    return undefined;
  }

  holds({ rgb }: TeacherImage): boolean {
    return rgb.length <= this.#creditBytes;
  }

  spend({ rgb }: TeacherImage): void {
    this.#creditBytes -= rgb.length;
  }

  grant(bytes: number): void {
    this.#creditBytes += bytes;
  }
}
