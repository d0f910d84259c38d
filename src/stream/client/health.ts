/** A client's record of one teacher: its recent failures, its speed and its limits. */
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
 * Counts failures in a row, and derives the back-off and the number of images in flight from them.
 */
export class TeacherHealth {
  readonly #policy: BackoffPolicy;
  #failures = 0;
  /** May be fractional while it grows. */
  #windowImages: number;
  /** Until the first time-out the window grows with every answer. */
  #growsFast = true;

  constructor(policy: BackoffPolicy) {
    this.#policy = policy;
    const { firstInflightImagesPerTeacher, maxInflightImagesPerTeacher } = policy;
    this.#windowImages = Math.min(firstInflightImagesPerTeacher, maxInflightImagesPerTeacher);
  }

  /** Whether so many failures came in a row that the stream is to be given up. */
  get sick(): boolean {
    return this.#failures >= this.#policy.breakerFailures;
  }

  /** Whether its latest outcome was a failure. */
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

  /** Counts a failure that means too many images at once, and halves the window. */
  timedOut(): number {
    this.#growsFast = false;
    this.#windowImages = Math.max(1, Math.floor(this.#windowImages) / 2);
    return this.failed();
  }

  /** How long to leave alone a teacher that won't fit until it is reconfigured, in ms. */
  refused(): number {
    return this.#spread(this.#policy.maxBackoffMs);
  }

  succeeded(): void {
    this.#failures = 0;
    // After a time-out the window grows by one image per window of answers.
    const { maxInflightImagesPerTeacher } = this.#policy;
    const grown = this.#windowImages + (this.#growsFast ? 1 : 1 / this.#windowImages);
    this.#windowImages = Math.min(maxInflightImagesPerTeacher, grown);
  }

  /** A random 50 to 100 % of a delay, so that students that failed together don't return together. */
  #spread(delayMs: number): number {
    return delayMs * (0.5 + 0.5 * this.#policy.jitter());
  }
}

/** A time during which a connected teacher gets no image. */
export class Pause {
  #timer: NodeJS.Timeout | undefined;

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** Pauses for `delayMs`, then calls back; replaces an earlier pause, which doesn't call back. */
  begin(delayMs: number, onOver: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      onOver();
    }, delayMs);
  }

  /** Ends the pause now, without calling back. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Weight of the newest answer in the mean. */
const NEWEST_WEIGHT = 0.2;

/** How fast one teacher answers while it has something to do. */
export class TeacherPace {
  #sinceMs = 0;
  #msPerImage: number | undefined;

  /** Mean time from one answer to the next, the newest weighing most; undefined before the first. */
  get msPerImage(): number | undefined {
    return this.#msPerImage;
  }

  /** Records that an image is sent; `load` images were at the teacher before. */
  sent(load: number): void {
    if (load === 0) this.#sinceMs = performance.now();
  }

  answered(): void {
    const now = performance.now();
    const ms = now - this.#sinceMs;
    this.#sinceMs = now;
    this.#msPerImage =
      this.#msPerImage === undefined
        ? ms
        : this.#msPerImage + NEWEST_WEIGHT * (ms - this.#msPerImage);
  }
}

/** The bounds on one stream's images: the welcome's limits and the upload credit. */
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

  get cachesAnswers(): boolean {
    return this.#agreement.cachesAnswers;
  }

  /** Why the image would never be accepted; undefined if it would. */
  refusalOf(image: TeacherImage): string | undefined {
    const { height, width, rgb } = image;
    const { maxImagePixels, uploadCreditBytes } = this.#agreement;
    if (height * width > maxImagePixels) {
      return `image: ${height}x${width} pixels, teacher ${this.#address} takes at most ${maxImagePixels}`;
    }
    if (rgb.length > uploadCreditBytes) {
      return `image: ${rgb.length} bytes, teacher ${this.#address} grants at most ${uploadCreditBytes}`;
    }
    return this.#agreement.refusalOf?.(image);
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
