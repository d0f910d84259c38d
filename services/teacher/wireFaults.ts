/**
 * Faults on purpose (config section `faults`) of the wire: they happen to the pieces of an answer
 * between the stream's sender and gRPC. The sender thinks that all went well.
 */
import type { WriteChunk } from '../../src/stream/server/chunkSender.js';
import type { OutgoingChunk } from '../../src/stream/server/messages.js';
import { isTurn } from './faultInjector.js';

/** Every n-th answer, over all streams, gets the fault; 0: none does. */
export interface WireFaultOptions {
  readonly corruptEvery: number;
  readonly truncateEvery: number;
  readonly duplicateEvery: number;
}

/** What is to become of one answer. */
interface Plan {
  readonly corrupt: boolean;
  /** Of the first piece left out, the second one left out, the first one cut short. */
  readonly truncate: 'first' | 'second' | 'short' | undefined;
  readonly duplicate: 'piece' | 'answer' | undefined;
}

const TRUNCATIONS = ['first', 'second', 'short'] as const;
const DUPLICATES = ['piece', 'answer'] as const;

/** Undefined when no fault is wanted: then there is nothing between sender and gRPC. */
export function wireFaults(
  options: WireFaultOptions,
): ((write: WriteChunk) => WriteChunk) | undefined {
  const { corruptEvery, truncateEvery, duplicateEvery } = options;
  if (corruptEvery + truncateEvery + duplicateEvery === 0) return undefined;
  let answers = 0;
  const nextPlan = (): Plan => {
    answers += 1;
    return {
      corrupt: isTurn(answers, corruptEvery),
      truncate: inTurn(answers, truncateEvery, TRUNCATIONS),
      duplicate: inTurn(answers, duplicateEvery, DUPLICATES),
    };
  };
  return (write) => {
    const faults = new StreamFaults(write, nextPlan);
    return (chunk, flushed) => faults.write(chunk, flushed);
  };
}

/** The kinds of a fault take turns. */
function inTurn<T>(answer: number, every: number, kinds: readonly T[]): T | undefined {
  return isTurn(answer, every) ? kinds[(answer / every - 1) % kinds.length] : undefined;
}

/** The faults of one stream: answers come one after the other, each in its pieces. */
class StreamFaults {
  readonly #write: WriteChunk;
  readonly #nextPlan: () => Plan;
  #answer = '';
  #plan: Plan | undefined;
  /** Pieces of this answer that came by. */
  #sent: OutgoingChunk[] = [];

  constructor(write: WriteChunk, nextPlan: () => Plan) {
    this.#write = write;
    this.#nextPlan = nextPlan;
  }

  write(chunk: OutgoingChunk, flushed: () => void): void {
    // The stream's own, not an image's.
    if (chunk.id === 0) {
      this.#write(chunk, flushed);
      return;
    }
    const answer = `${chunk.id} ${chunk.attempt}`;
    if (answer !== this.#answer) this.#begin(answer);
    const { corrupt, truncate, duplicate } = this.#plan!;
    const place = this.#sent.push(chunk) - 1;
    if ((truncate === 'first' && place === 0) || (truncate === 'second' && place === 1)) {
      setImmediate(flushed);
      return;
    }
    const damaged = place > 0 ? chunk : damage(chunk, corrupt, truncate === 'short');
    this.#write(damaged, flushed);
    if (duplicate === 'piece' && place === 0) this.#write(damaged, () => {});
  }

  #begin(answer: string): void {
    if (this.#plan?.duplicate === 'answer') {
      for (const chunk of this.#sent) this.#write(chunk, () => {});
    }
    this.#answer = answer;
    this.#plan = this.#nextPlan();
    this.#sent = [];
  }
}

/** A copy: the data may be another piece's, too. */
function damage(chunk: OutgoingChunk, corrupt: boolean, short: boolean): OutgoingChunk {
  if (!corrupt && !short) return chunk;
  const data = Buffer.from(short ? chunk.data.subarray(0, chunk.data.length / 2) : chunk.data);
  if (corrupt) data[data.length >> 1]! ^= 1;
  return { ...chunk, data };
}
