/**
 * The memory held by answers, from the start of their computation until the connection has taken
 * them, over all streams of a server.
 *
 * A stream may hold as much as is still free. So one stalled client stops at a half, two at a third
 * each, and the next stream finds the same amount free: stalled answers never block the other streams
 * (dynamic thresholds, A. Choudhury and E. Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
 * One answer per stream is always allowed.
 */
export class AnswerBudget {
  readonly #maxBytes: number;
  readonly #onHeld: (bytes: number) => void;
  #heldBytes = 0;

  constructor(maxBytes: number, onHeld: (bytes: number) => void) {
    this.#maxBytes = maxBytes;
    this.#onHeld = onHeld;
  }

  get freeBytes(): number {
    return this.#maxBytes - this.#heldBytes;
  }

  change(bytes: number): void {
    this.#heldBytes += bytes;
    this.#onHeld(this.#heldBytes);
  }
}

/** One stream's share of the budget. */
export class AnswerRoom {
  readonly #budget: AnswerBudget;
  readonly #onEmpty: (() => void) | undefined;
  #heldBytes = 0;

  /** `onEmpty`: nothing is held any more. */
  constructor(budget: AnswerBudget, onEmpty?: () => void) {
    this.#budget = budget;
    this.#onEmpty = onEmpty;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  fits(bytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + bytes <= this.#budget.freeBytes;
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#budget.change(bytes);
  }

  release(bytes: number): void {
    this.hold(-bytes);
    if (this.#heldBytes === 0) this.#onEmpty?.();
  }
}
