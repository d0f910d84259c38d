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
import type { StoreRead, StoreWrite } from './diskStore.js';
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

/** A read that takes longer than this counts as failed: computing the answer again is faster. */
const READ_MS = 2000;

/** After a read that took too long, others aren't tried for this long, nor before it has ended. */
const READ_PAUSE_MS = 10_000;

/** How long close() waits for answers to be written, and then for the threads. */
const CLOSE_MS = 10_000;

export class AnswerStore {
  readonly #reader: ThreadCalls<StoreCalls>;
  readonly #writer: ThreadCalls<StoreCalls>;
  readonly #hooks: AnswerHooks;
  /** Answers on their way to the disk: they can be read already. */
  readonly #pending = new Map<string, Uint8Array<ArrayBuffer>>();
  #pendingBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #writesPausedUntilMs = 0;
  #reading: Promise<unknown>;
  #readsPausedUntilMs = 0;
  /** Reads past their time that haven't ended. */
  #lateReads = 0;
  #closed = false;
  readonly #told = new Set<string>();

  /** Rejects with StoreFolderError, StoreDiskError. */
  static async open(options: StoreOptions): Promise<AnswerStore> {
    await claimStoreFolder(options.directory);
    return new AnswerStore(options);
  }

  private constructor({ directory, maxBytes, hooks }: StoreOptions) {
    const setup: StoreSetup = { directory, maxBytes };
    this.#reader = new ThreadCalls(startThread(import.meta.url, './storeThread.ts', setup), STORE);
    this.#writer = new ThreadCalls(startThread(import.meta.url, './storeThread.ts', setup), STORE);
    this.#hooks = hooks;
    // The limit of the first read doesn't include the thread's start.
    this.#reading = this.#reader.call.ready().catch(() => {});
    this.#inTurn(async () => this.#recordSize(await this.#writer.call.sweep()));
  }

  /** The answer, in buffers that the caller owns; undefined if there is none. Never rejects. */
  async read(key: string): Promise<EncodedOutput[] | undefined> {
    const pending = this.#pending.get(key);
    if (pending !== undefined) return unpackAnswer(pending);
    // One at a time: each takes one of the few threads with which Node.js asks disks and name servers.
    const read = this.#reading.then(() => this.#readInTurn(key));
    this.#reading = read;
    return read;
  }

  /** Stores a copy, unless a value isn't finite. Returns at once. */
  write(key: string, outputs: readonly EncodedOutput[]): void {
    if (this.#pending.has(key)) return;
    const bytes = answerBytes(outputs);
    if (
      performance.now() < this.#writesPausedUntilMs ||
      this.#pendingBytes + bytes > MAX_PENDING_BYTES
    ) {
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

  /** Waits until what is pending is written, at most 10 s; answers still being read are absent. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
    this.#closed = true;
    // A thread whose disk hangs doesn't end; nothing more can be done about it here.
    const threads = [this.#reader, this.#writer];
    await Promise.all(threads.map((thread) => thread.terminate(CLOSE_MS).catch(() => {})));
  }

  /** Never rejects. */
  async #readInTurn(key: string): Promise<EncodedOutput[] | undefined> {
    const isPaused = performance.now() < this.#readsPausedUntilMs || this.#lateReads > 0;
    if (isPaused || this.#closed) return undefined;
    try {
      const read = await this.#withinLimit(this.#reader.call.read(key));
      if (read.kind === 'found') return read.outputs;
      if (read.kind === 'corrupted') this.#hooks.onCorrupted();
      if (read.kind === 'failed') this.#tell('reading', read.reason);
    } catch (error) {
      this.#tell('reading', (error as Error).message);
    }
    return undefined;
  }

  /** Rejects after READ_MS, and lets no other read begin for a while. */
  async #withinLimit(read: Promise<StoreRead>): Promise<StoreRead> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        this.#readsPausedUntilMs = performance.now() + READ_PAUSE_MS;
        this.#lateReads += 1;
        const ended = () => {
          this.#lateReads -= 1;
        };
        read.then(ended, ended);
        reject(new Error(`the disk has not answered for ${READ_MS / 1000} s`));
      }, READ_MS);
    });
    try {
      return await Promise.race([read, late]);
    } finally {
      clearTimeout(timer);
    }
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
    this.#writesPausedUntilMs = performance.now() + WRITE_PAUSE_MS;
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
    // What close() ends isn't a fault.
    if (this.#closed || this.#told.has(what)) return;
    this.#told.add(what);
    this.#hooks.onProblem(`answers: ${what} failed, going on without: ${reason}`);
  }
}
