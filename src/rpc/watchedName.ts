/** A DNS name that is looked up periodically, as the hosts behind it come and go. */
import { lookUp } from './nameLookup.js';
import type { DnsName } from './target.js';

export interface NameEvents {
  /** Called after each look-up that found addresses, with at least one. */
  onAddresses(ips: readonly string[]): void;
  /** A look-up found no address, or failed; called once for each cause, until one succeeds again. */
  onProblem(problem: string): void;
}

export class WatchedName {
  readonly name: DnsName;
  readonly #everyMs: number;
  readonly #events: NameEvents;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isLookingUp = false;
  #lookAgain = false;
  #problem: string | undefined;
  #wasFound = false;

  constructor(name: DnsName, everyMs: number, events: NameEvents) {
    this.name = name;
    this.#everyMs = everyMs;
    this.#events = events;
  }

  /** Whether any look-up has found an address. */
  get wasFound(): boolean {
    return this.#wasFound;
  }

  /** Why the last look-up found no address; undefined if it found some, or if none has ended. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Looks the name up now, and then periodically. */
  refresh(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#isLookingUp) {
      // The answer to the running query may predate the reason for this call.
      this.#lookAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    void this.#lookUp();
  }

  /** Stops the look-ups; no callback is called any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  async #lookUp(): Promise<void> {
    this.#isLookingUp = true;
    const { signal } = this.#stop;
    const found = await lookUp(this.name, signal).catch((error: Error) => error);
    this.#isLookingUp = false;
    if (signal.aborted) return;
    this.#timer = setTimeout(() => this.refresh(), this.#everyMs);
    this.#report(found);
    if (!this.#lookAgain) return;
    this.#lookAgain = false;
    this.refresh();
  }

  #report(found: string[] | Error): void {
    if (Array.isArray(found) && found.length > 0) {
      this.#problem = undefined;
      this.#wasFound = true;
      this.#events.onAddresses(found);
      return;
    }
    const problem = Array.isArray(found) ? 'no address found' : `lookup failed: ${found.message}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#events.onProblem(problem);
  }
}
