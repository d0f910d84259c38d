/** Closes parts in reverse order of opening, each even if another fails. */
export class Closers {
  readonly #closers: (() => Promise<void>)[] = [];

  add(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    const last = this.#closers.pop();
    if (last !== undefined) await last().finally(() => this.close());
  }
}
