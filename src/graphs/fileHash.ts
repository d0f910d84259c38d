/** Hashes the files that belong to a graph. */
import type { Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../wire/checkpointError.js';
import { printable } from '../wire/printable.js';

/**
 * Adds name, size and bytes of each file to the hash. Names are relative to the folder. Throws
 * CheckpointError naming the file if it can't be read.
 */
export async function hashFiles(
  hash: Hash,
  folder: string,
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    const path = join(folder, name);
    try {
      const { size } = await stat(path);
      hash.update(JSON.stringify([name, size]));
      for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
    } catch (error) {
      const { message } = error as Error;
      throw new CheckpointError(`${printable(name)}: can't be read (${message})`, { cause: error });
    }
  }
}
