import { readFile } from 'node:fs/promises';
import { type LoadedSegmenter, loadSegmenter } from '../../src/evaluate/networkSegmenter.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';

/** The network of a model file. Throws CheckpointError that names the file and the fault. */
export async function openSegmenter(file: string): Promise<LoadedSegmenter> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new CheckpointError(`${file}: ${(error as Error).message}`);
  }
  try {
    return loadSegmenter(bytes);
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${file}: ${error.message}`);
    throw error;
  }
}
