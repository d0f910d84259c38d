/** Which ranks the others wait for in a collective, and when to say so. */
import type { Logger } from '../../../src/telemetry/log.js';

/**
 * For each rank, how long another one has waited for it by now, s; 0: nobody does.
 * @param waits for how long each rank has been in its collective, s; 0: it is in none
 */
export function awaitedSeconds(waits: readonly number[]): number[] {
  const longest = Math.max(...waits);
  return waits.map((seconds) => (seconds === 0 ? longest : 0));
}

/** A wait that was written to the log. */
interface Told {
  /** As it was written. */
  readonly seconds: number;
  /** By now. */
  readonly lastSeconds: number;
}

/** Writes that a rank is awaited after `firstSeconds`, then when the wait has doubled, and when it is over. */
export class AwaitedLog {
  readonly #firstSeconds: number;
  readonly #addresses: readonly string[];
  readonly #log: Pick<Logger, 'warn' | 'info'>;
  readonly #told = new Map<number, Told>();

  constructor(
    firstSeconds: number,
    addresses: readonly string[],
    log: Pick<Logger, 'warn' | 'info'>,
  ) {
    this.#firstSeconds = firstSeconds;
    this.#addresses = addresses;
    this.#log = log;
  }

  /** @param awaited of every rank, see awaitedSeconds() */
  take(awaited: readonly number[]): void {
    for (const [peer, seconds] of awaited.entries()) this.#takeOne(peer, seconds);
  }

  #takeOne(peer: number, seconds: number): void {
    const told = this.#told.get(peer);
    const fields = { peer, address: this.#addresses[peer] };
    if (told !== undefined && seconds < told.lastSeconds) {
      this.#told.delete(peer);
      this.#log.info({ ...fields, seconds: told.lastSeconds }, 'the awaited rank has come');
      return;
    }
    if (seconds >= (told === undefined ? this.#firstSeconds : 2 * told.seconds)) {
      this.#told.set(peer, { seconds, lastSeconds: seconds });
      this.#log.warn({ ...fields, seconds }, 'a rank keeps the others waiting');
      return;
    }
    if (told !== undefined) this.#told.set(peer, { ...told, lastSeconds: seconds });
  }
}
