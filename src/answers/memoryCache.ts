/** Answers in memory, bounded in bytes; the one that wasn't used for longest leaves first. */
import { LRUCache } from 'lru-cache';
import type { EncodedOutput } from '../contract/outputs.js';
import type { AnswerHooks } from './answerHooks.js';

type Answer = readonly EncodedOutput[];

export class MemoryCache {
  readonly #answers: LRUCache<string, Answer>;
  readonly #hooks: AnswerHooks;

  /** `maxBytes` is at least 1. */
  constructor(maxBytes: number, hooks: AnswerHooks) {
    this.#hooks = hooks;
    this.#answers = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (outputs) => Math.max(answerBytes(outputs), 1),
      dispose: (_outputs, _key, reason) => {
        if (reason === 'evict') hooks.onEvicted('memory', 1);
      },
    });
  }

  /** Counts as a use. The buffers are shared: neither change nor transfer them. */
  get(key: string): Answer | undefined {
    return this.#answers.get(key);
  }

  /** Doesn't count as a use. */
  has(key: string): boolean {
    return this.#answers.has(key);
  }

  /** Keeps the answer itself, not a copy; one that is larger than the whole cache isn't kept. */
  set(key: string, outputs: Answer): void {
    this.#answers.set(key, outputs);
    this.#hooks.onSize('memory', this.#answers.calculatedSize, this.#answers.size);
  }
}

export function answerBytes(outputs: Answer): number {
  return outputs.reduce((bytes, { tensor }) => bytes + tensor.data.byteLength, 0);
}
