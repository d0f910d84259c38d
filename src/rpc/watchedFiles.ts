/**
 * Files that are read again every few seconds: what they say now or, where that can't be used, what
 * they said last. Reading finds what notifications miss: renamed links, mounted volumes.
 */
import { readFile } from 'node:fs/promises';

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
  /** Contents in the order of `files` to what they mean. Throws SecurityFileError. */
  readonly parse: (contents: readonly Buffer[]) => T;
  /** New contents are in use. */
  readonly onChange?: (value: T) => void;
  /** What is there now can't be used, the old stays in use; once for each reason. */
  readonly onProblem?: (error: SecurityFileError) => void;
  readonly everyMs: number;
}

export class WatchedFiles<T> {
  readonly #options: WatchOptions<T>;
  #current: T;
  /** Of `#current`. */
  #contents: readonly Buffer[];
  #problem: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: WatchOptions<T>, contents: readonly Buffer[]) {
    this.#options = options;
    this.#contents = contents;
    this.#current = options.parse(contents);
    this.#schedule();
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

  #schedule(): void {
    // Nobody waits for the next look: a process may end before it.
    this.#timer = setTimeout(() => void this.#look(), this.#options.everyMs).unref();
  }

  async #look(): Promise<void> {
    try {
      const contents = await readAll(this.#options.files);
      if (this.#closed) return;
      if (!contents.every((content, i) => content.equals(this.#contents[i]!))) {
        this.#current = this.#options.parse(contents);
        this.#contents = contents;
        this.#options.onChange?.(this.#current);
      }
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof SecurityFileError)) throw error;
      if (!this.#closed && error.message !== this.#problem) this.#options.onProblem?.(error);
      this.#problem = error.message;
    }
    if (!this.#closed) this.#schedule();
  }
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
