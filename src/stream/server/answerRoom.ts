/**
 * The memory that answers take from the start of their computation until the connection has them,
 * over all streams of a server.
 *
 * A stream may hold as much as is still free. So one that takes nothing stops at a half, two at a
 * third each, and whoever comes next finds as much again: nobody's stalled answers stop the others
 * (dynamic thresholds, A. Choudhury and E. Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
 * One answer a stream is always allowed.
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

/** One stream's part of it. */
export class AnswerRoom {
  readonly #budget: AnswerBudget;
  #heldBytes = 0;

  constructor(budget: AnswerBudget) {
    this.#budget = budget;
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
  }
}
