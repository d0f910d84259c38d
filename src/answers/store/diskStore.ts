/**
 * Answers in a folder, by cacache: a file for each answer, named by its sha256 and written under another
 * name first, and a file for each key that says which answer it has. So a process that is killed leaves
 * whole answers, damage in one file concerns one answer, and any number of processes may share the folder.
 *
 * Runs in the store's threads. No method rejects because of the folder's content or its disk.
 */
import { utimes } from 'node:fs/promises';
import cacache from 'cacache';
import type { EncodedOutput } from '../../contract/outputs.js';
import { firstNonFinite } from '../../wire/checkTensor.js';
import { unpackAnswer } from '../packedAnswer.js';
import { removeKey, storedBytes, sweepStore } from './sweep.js';

export type StoreRead =
  | { readonly kind: 'found'; readonly outputs: EncodedOutput[] }
  | { readonly kind: 'absent' }
  /** It was damaged, and has been removed. */
  | { readonly kind: 'corrupted' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface StoreWrite {
  readonly outcome: 'stored' | 'nonFinite' | 'failed';
  /** Why it failed; else empty. */
  readonly reason: string;
  readonly evicted: number;
  /** Of all answers in the folder, as far as this process knows. */
  readonly bytes: number;
  readonly answers: number;
}

/** A store learns what other processes wrote when it has written this part of the bound itself. */
const SWEEPS_PER_BOUND = 16;

export class DiskStore {
  readonly #directory: string;
  readonly #maxBytes: number;
  #bytes = 0;
  #answers = 0;
  #writtenSinceSweep = 0;

  constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  async ready(): Promise<void> {}

  async read(key: string): Promise<StoreRead> {
    const entry = await this.#entry(key).catch(failed);
    if (entry === null) return { kind: 'absent' };
    if ('kind' in entry) return entry;
    const { integrity, size, path } = entry;
    try {
      const options = size === undefined ? {} : { size };
      // Its types say string, its documentation and code a Buffer.
      const data: unknown = await cacache.get.byDigest(this.#directory, integrity, options);
      const outputs = unpackAnswer(data as Buffer);
      const now = new Date();
      // What was used lately is removed last; a store that may only be read works all the same.
      await utimes(path, now, now).catch(() => {});
      return { kind: 'found', outputs };
    } catch (error) {
      const { code = '', name } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return { kind: 'absent' };
      if (!DAMAGE.has(code) && name !== 'TensorFormatError') return failed(error);
      await this.#remove(key, integrity);
      return { kind: 'corrupted' };
    }
  }

  async write(key: string, packed: Uint8Array): Promise<StoreWrite> {
    if (!allFinite(packed)) return this.#outcome('nonFinite', 0);
    const bytes = storedBytes(packed.length);
    if (bytes > this.#maxBytes) {
      return this.#outcome('failed', 0, `an answer takes ${bytes} bytes, the bound is smaller`);
    }
    try {
      await cacache.put(this.#directory, key, Buffer.from(packed.buffer), {
        algorithms: ['sha256'],
      });
    } catch (error) {
      return this.#outcome('failed', 0, (error as Error).message);
    }
    this.#bytes += bytes;
    this.#answers += 1;
    this.#writtenSinceSweep += bytes;
    const isDue = this.#writtenSinceSweep > this.#maxBytes / SWEEPS_PER_BOUND;
    return isDue || this.#bytes > this.#maxBytes ? this.sweep() : this.#outcome('stored', 0);
  }

  async remove(key: string): Promise<void> {
    const entry = await this.#entry(key).catch(() => null);
    if (entry !== null) await this.#remove(key, entry.integrity);
  }

  /** Counts what is in the folder, and removes what is too much, the least recently used first. */
  async sweep(): Promise<StoreWrite> {
    const { evicted, bytes, answers } = await sweepStore(this.#directory, this.#maxBytes);
    this.#bytes = bytes;
    this.#answers = answers;
    this.#writtenSinceSweep = 0;
    return this.#outcome('stored', evicted);
  }

  #entry(key: string): Promise<cacache.CacheObject | null> {
    return cacache.get.info(this.#directory, key);
  }

  async #remove(key: string, integrity: string): Promise<void> {
    try {
      await removeKey(this.#directory, key);
      await cacache.rm.content(this.#directory, integrity);
    } catch {
      // A folder that can't be changed: the entry stays and is found damaged again.
    }
  }

  #outcome(outcome: StoreWrite['outcome'], evicted: number, reason = ''): StoreWrite {
    return { outcome, reason, evicted, bytes: this.#bytes, answers: this.#answers };
  }
}

/** cacache's codes for bytes that don't match their hash or length. */
const DAMAGE: ReadonlySet<string> = new Set(['EINTEGRITY', 'EBADSIZE']);

function failed(error: unknown): { readonly kind: 'failed'; readonly reason: string } {
  return { kind: 'failed', reason: (error as Error).message };
}

function allFinite(packed: Uint8Array): boolean {
  return unpackAnswer(packed).every(({ tensor }) => firstNonFinite(tensor) < 0);
}
