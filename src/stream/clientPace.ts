/** How fast one teacher answers while it has something to do. */

/** Share of the newest answer in the mean. */
const NEWEST = 0.2;

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
