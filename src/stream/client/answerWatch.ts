/** A watchdog: fires when requests wait and no teacher has answered for a given time. */
export class AnswerWatch {
  readonly #timeoutMs: number;
  readonly #onExpired: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = 0;

  constructor(timeoutMs: number, onExpired: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#onExpired = onExpired;
  }

  /** A request waits: starts the time unless it is running. */
  start(): void {
    if (this.#timer === undefined) this.#arm();
  }

  /** A teacher answered: restarts the time if it is running. */
  answered(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#arm();
  }

  /** No request waits: stops the time. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    this.#dueAt = performance.now() + this.#timeoutMs;
    this.#timer = setTimeout(() => this.#expire(), this.#timeoutMs);
  }

  #expire(): void {
    // A process that was stopped or starved for long hasn't listened: answers may be ready to read.
    if (performance.now() - this.#dueAt > this.#timeoutMs / 2 + 1000) {
      this.#arm();
      return;
    }
    this.#timer = undefined;
    this.#onExpired();
  }
}
