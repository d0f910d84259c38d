/**
 * A store of answers on disk, shared by any number of processes. Two threads of its own read and write:
 * nothing here waits for a disk, and what is written never delays what is read.
 *
 * Nothing that happens to the disk reaches the caller: an answer that can't be read is absent, one that
 * can't be written is dropped and counted.
 */
import type { EncodedOutput } from '../../contract/outputs.js';
import { startThread } from '../../threads/startThread.js';
import { ThreadCalls } from '../../threads/threadCalls.js';
import type { AnswerHooks } from '../answerHooks.js';
import { answerBytes } from '../memoryCache.js';
import { packAnswer, unpackAnswer } from '../packedAnswer.js';
import type { StoreWrite } from './diskStore.js';
import { claimStoreFolder } from './storeFolder.js';
import { STORE, type StoreCalls, type StoreSetup } from './storeService.js';

export interface StoreOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly hooks: AnswerHooks;
}

/** Answers that may wait to be written; beyond that they are dropped, as memory is bounded. */
const MAX_PENDING_BYTES = 256 * 2 ** 20;

/** After a failed write, others aren't tried for this long: a full disk stays full for a while. */
const WRITE_PAUSE_MS = 10_000;

/** How long close() waits for answers to be written. */
const CLOSE_MS = 10_000;

export class AnswerStore {
  readonly #reader: ThreadCalls<StoreCalls>;
  readonly #writer: ThreadCalls<StoreCalls>;
  readonly #hooks: AnswerHooks;
  /** Answers on their way to the disk: they can be read already. */
  readonly #pending = new Map<string, Uint8Array<ArrayBuffer>>();
  #pendingBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #pausedUntilMs = 0;
  readonly #told = new Set<string>();

  /** Rejects with StoreFolderError. */
  static async open(options: StoreOptions): Promise<AnswerStore> {
    await claimStoreFolder(options.directory);
    return new AnswerStore(options);
  }

  private constructor({ directory, maxBytes, hooks }: StoreOptions) {
    const setup: StoreSetup = { directory, maxBytes };
    this.#reader = new ThreadCalls(startThread(import.meta.url, './storeThread.ts', setup), STORE);
    this.#writer = new ThreadCalls(startThread(import.meta.url, './storeThread.ts', setup), STORE);
    this.#hooks = hooks;
    this.#inTurn(async () => this.#recordSize(await this.#writer.call.sweep()));
  }

  /** The answer, in buffers that the caller owns; undefined if there is none. Never rejects. */
  async read(key: string): Promise<EncodedOutput[] | undefined> {
    const pending = this.#pending.get(key);
    if (pending !== undefined) return unpackAnswer(pending);
    try {
      const read = await this.#reader.call.read(key);
      if (read.kind === 'found') return read.outputs;
      if (read.kind === 'corrupted') this.#hooks.onCorrupted();
      if (read.kind === 'failed') this.#tell('reading', read.reason);
    } catch (error) {
      this.#tell('reading', (error as Error).message);
    }
    return undefined;
  }

  /** Stores a copy, unless a value isn't finite. Returns at once. */
  write(key: string, outputs: readonly EncodedOutput[]): void {
    if (this.#pending.has(key)) return;
    const bytes = answerBytes(outputs);
    if (performance.now() < this.#pausedUntilMs || this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      this.#hooks.onWriteFailed();
      return;
    }
    const packed = packAnswer(outputs);
    this.#pending.set(key, packed);
    this.#pendingBytes += packed.length;
    const { length } = packed;
    this.#inTurn(async () => {
      // A copy: its buffer goes to the thread, and until then the answer is read from here.
      const written = this.#pending.get(key) === packed ? packed.slice() : undefined;
      try {
        if (written !== undefined) this.#record(await this.#writer.call.write(key, written));
      } finally {
        if (this.#pending.get(key) === packed) this.#pending.delete(key);
        this.#pendingBytes -= length;
      }
    });
  }

  /** Forgets an answer that turned out to be unusable. */
  async remove(key: string): Promise<void> {
    this.#pending.delete(key);
    this.#inTurn(() => this.#writer.call.remove(key));
    await this.#writing;
  }

  /** Waits until what is pending is written, at most 10 s. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
    await Promise.all([this.#reader.terminate(), this.#writer.terminate()]);
  }

  /** One write at a time is in the thread, in order. */
  #inTurn(work: () => Promise<void>): void {
    this.#writing = this.#writing
      .then(work)
      .catch((error: Error) => this.#writeFailed(error.message));
  }

  #record(written: StoreWrite): void {
    this.#recordSize(written);
    if (written.outcome !== 'failed') return;
    this.#pausedUntilMs = performance.now() + WRITE_PAUSE_MS;
    this.#writeFailed(written.reason);
  }

  #recordSize({ evicted, bytes, answers }: StoreWrite): void {
    if (evicted > 0) this.#hooks.onEvicted('disk', evicted);
    this.#hooks.onSize('disk', bytes, answers);
  }

  #writeFailed(reason: string): void {
    this.#hooks.onWriteFailed();
    this.#tell('writing', reason);
  }

  #tell(what: 'reading' | 'writing', reason: string): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    this.#hooks.onProblem(`answers: ${what} failed, going on without: ${reason}`);
  }
}
