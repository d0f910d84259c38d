/** Files that a command goes past where it was asked to (`--skip-broken`). */
import { DataError } from '../../src/data/types.js';

export const SKIP_USAGE = `  --skip-broken   goes past files that can't be read; lists them, and exits 7 at the end`;

/** On standard error: what a decoder found wrong with a file that it read nevertheless. */
export function reportWarning(warning: string): void {
  process.stderr.write(`warning: ${warning}\n`);
}

export class SkippedFiles {
  #count = 0;

  /** Lists the file on standard error. */
  add({ message }: DataError): void {
    this.#count++;
    process.stderr.write(`skipped: ${message}\n`);
  }

  /** Throws DataError if any file was skipped: the results that were written lack it. */
  finish(total: number): void {
    if (this.#count === 0) return;
    throw new DataError(`${this.#count} of ${total} skipped, listed above`);
  }
}
