/**
 * Files that are read again every few seconds. Unusable contents are reported, and the last usable ones
 * stay in use. Reading finds what notifications miss: renamed links, mounted volumes. It may also find
 * a file half written, or only some of the files exchanged, so new contents count only once two
 * reads in a row have found the same.
 */
import { readFile } from 'node:fs/promises';

/** New contents are read again after this fraction of the time between two reads. */
const SETTLING_FRACTION = 1 / 6;

/** A file and the key of the config that named it, for messages. */
export interface NamedFile {
  readonly key: string;
  readonly path: string;
}

/** A file that can't be used; the message names the key, the path and the reason. */
export class SecurityFileError extends Error {
  override readonly name = 'SecurityFileError';

  constructor({ key, path }: NamedFile, reason: string, options?: ErrorOptions) {
    super(`${key}: ${path}: ${reason}`, options);
  }
}

export interface WatchOptions<T> {
  readonly files: readonly NamedFile[];
  /** Parses the contents, in the order of `files`. Throws SecurityFileError. */
  readonly parse: (contents: readonly Buffer[]) => T;
  /** New contents are in use. */
  readonly onChange?: (value: T) => void;
  /** The new contents can't be used and the old stay in use; called once for each reason. */
  readonly onProblem?: (error: SecurityFileError) => void;
  readonly everyMs: number;
}

export class WatchedFiles<T> {
  readonly #options: WatchOptions<T>;
  #current: T;
  /** The contents that `#current` was parsed from. */
  #contents: readonly Buffer[];
  /** The contents found by the last read, if they differ from `#contents`. */
  #next: readonly Buffer[] | undefined;
  #problem: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: WatchOptions<T>, contents: readonly Buffer[]) {
    this.#options = options;
    this.#contents = contents;
    this.#current = options.parse(contents);
    this.#schedule(options.everyMs);
  }

  /** Rejects with SecurityFileError when the files can't be used. */
  static async open<T>(options: WatchOptions<T>): Promise<WatchedFiles<T>> {
    return new WatchedFiles(options, await readAll(options.files));
  }

  get current(): T {
    return this.#current;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(afterMs: number): void {
    // unref: the timer mustn't keep the process alive.
    this.#timer = setTimeout(() => void this.#look(), afterMs).unref();
  }

  async #look(): Promise<void> {
    const { everyMs, onProblem } = this.#options;
    let nextMs = everyMs;
    try {
      const contents = await readAll(this.#options.files);
      if (this.#closed) return;
      if (this.#settles(contents)) nextMs *= SETTLING_FRACTION;
      else this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof SecurityFileError)) throw error;
      if (!this.#closed && error.message !== this.#problem) onProblem?.(error);
      this.#problem = error.message;
    }
    if (!this.#closed) this.#schedule(nextMs);
  }

  /** Whether the contents are new and may be incomplete. Throws SecurityFileError for unusable ones. */
  #settles(contents: readonly Buffer[]): boolean {
    if (same(contents, this.#contents)) {
      this.#next = undefined;
      return false;
    }
    if (this.#next === undefined || !same(contents, this.#next)) {
      this.#next = contents;
      return true;
    }
    this.#current = this.#options.parse(contents);
    this.#contents = contents;
    this.#next = undefined;
    this.#options.onChange?.(this.#current);
    return false;
  }
}

function same(some: readonly Buffer[], others: readonly Buffer[]): boolean {
  return some.every((content, i) => content.equals(others[i]!));
}

function readAll(files: readonly NamedFile[]): Promise<Buffer[]> {
  return Promise.all(
    files.map(async (file) => {
      try {
        return await readFile(file.path);
      } catch (cause) {
        const { code = 'unreadable' } = cause as NodeJS.ErrnoException;
        throw new SecurityFileError(file, `can't be read (${code})`, { cause });
      }
    }),
  );
}
