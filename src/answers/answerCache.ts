/** The answers that a teacher keeps: in memory, on disk or both. Shared by all its streams. */
import type { EncodedOutput } from '../contract/outputs.js';
import type { AnswerHooks } from './answerHooks.js';
import { MemoryCache } from './memoryCache.js';
import type { AnswerStore } from './store/answerStore.js';

export interface AnswerCacheOptions {
  /** 0: none in memory. */
  readonly memoryBytes: number;
  /** null: none on disk. The cache closes it. */
  readonly store: AnswerStore | null;
  readonly hooks: AnswerHooks;
}

/**
 * Answers by key (answerKey.ts). Their buffers are shared with every reader: they are only read. Hits and
 * misses are counted by the caller, who knows which images were answered.
 */
export class AnswerCache {
  readonly hooks: AnswerHooks;
  readonly #memory: MemoryCache | null;
  readonly #store: AnswerStore | null;

  constructor({ memoryBytes, store, hooks }: AnswerCacheOptions) {
    this.hooks = hooks;
    this.#memory = memoryBytes > 0 ? new MemoryCache(memoryBytes, hooks) : null;
    this.#store = store;
  }

  get hasStore(): boolean {
    return this.#store !== null;
  }

  /** Counts as a use of the answer. */
  inMemory(key: string): readonly EncodedOutput[] | undefined {
    return this.#memory?.get(key);
  }

  isInMemory(key: string): boolean {
    return this.#memory?.has(key) ?? false;
  }

  /** Also puts what it finds into memory. Never rejects. */
  async onDisk(key: string): Promise<readonly EncodedOutput[] | undefined> {
    const outputs = await this.#store?.read(key);
    if (outputs !== undefined) this.#memory?.set(key, outputs);
    return outputs;
  }

  /** `outputs` are whole, finite and of the sizes that were agreed; nobody may change them any more. */
  keep(key: string, outputs: readonly EncodedOutput[]): void {
    this.#memory?.set(key, outputs);
    this.#store?.write(key, outputs);
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }
}
