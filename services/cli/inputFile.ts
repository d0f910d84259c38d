/** Reads the whole input file of a command. */
import { readFile } from 'node:fs/promises';
import { CheckpointError } from '../../src/wire/checkpointError.js';

/** Throws CheckpointError if it can't be read, is missing or larger than 2 GiB. */
export async function readInput(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CheckpointError((error as Error).message);
  }
}
