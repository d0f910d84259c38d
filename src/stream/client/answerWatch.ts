/** Notices that something waits and no teacher has answered for a given time. */
export class AnswerWatch {
  readonly #timeoutMs: number;
  readonly #onExpired: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = 0;

  constructor(timeoutMs: number, onExpired: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#onExpired = onExpired;
  }

  /** Something waits: the time runs, from now if it didn't before. */
  start(): void {
    if (this.#timer === undefined) this.#arm();
  }

  /** A teacher answered: the time starts anew, if it ran. */
  answered(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#arm();
  }

  /** Nothing waits. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    this.#dueAt = performance.now() + this.#timeoutMs;
    this.#timer = setTimeout(() => this.#expire(), this.#timeoutMs);
  }

  #expire(): void {
    // A process that was stopped or starved for long hasn't listened: answers may lie ready.
    if (performance.now() - this.#dueAt > this.#timeoutMs / 2 + 1000) {
      this.#arm();
      return;
    }
    this.#timer = undefined;
    this.#onExpired();
  }
}
