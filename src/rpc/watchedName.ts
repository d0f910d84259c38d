/** A DNS name that is looked up periodically, as the hosts behind it come and go. */
import { lookUp } from './nameLookup.js';
import type { DnsName } from './target.js';

export interface NameEvents {
  /** Called after each look-up that found addresses, with at least one. */
  onAddresses(ips: readonly string[]): void;
  /** A look-up found no address, or failed; called once for each cause, until one succeeds again. */
  onProblem(words: string): void;
}

export class WatchedName {
  readonly name: DnsName;
  readonly #everyMs: number;
  readonly #events: NameEvents;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  #askAgain = false;
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
  look(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#isAsking) {
      // The answer to the running query may predate the reason to ask.
      this.#askAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    void this.#look();
  }

  /** Stops the look-ups; no callback is called any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  async #look(): Promise<void> {
    this.#isAsking = true;
    const { signal } = this.#stop;
    const found = await lookUp(this.name, signal).catch((error: Error) => error);
    this.#isAsking = false;
    if (signal.aborted) return;
    this.#timer = setTimeout(() => this.look(), this.#everyMs);
    this.#tell(found);
    if (!this.#askAgain) return;
    this.#askAgain = false;
    this.look();
  }

  #tell(found: string[] | Error): void {
    if (Array.isArray(found) && found.length > 0) {
      this.#problem = undefined;
      this.#wasFound = true;
      this.#events.onAddresses(found);
      return;
    }
    const words = Array.isArray(found)
      ? 'no address is behind it'
      : `not looked up: ${found.message}`;
    if (words === this.#problem) return;
    this.#problem = words;
    this.#events.onProblem(words);
  }
}
