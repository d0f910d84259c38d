/** The file that a new run's student begins with: a whole network's weights, or its backbone's. */
import { readFile } from 'node:fs/promises';
import type { StudentConfig } from '../../src/config/student.js';
import { loadBackboneWeights } from '../../src/models/backboneWeights.js';
import { type ImportSource, readImportSource } from '../../src/models/importModel.js';
import { readModelFile } from '../../src/models/modelFile.js';
import type { SegmentationNetwork } from '../../src/models/network.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';

/** Travels between threads. */
export interface StartWeights {
  /** Of the config's student section. */
  readonly key: 'weights' | 'backboneWeights';
  readonly file: string;
  readonly bytes: Uint8Array;
}

/**
 * null where everything is drawn from the seed. `onNotRead` gets the classes of objects beside the
 * weights, where there are any. Throws CheckpointError naming key and file.
 */
export async function readStartWeights(
  { student }: StudentConfig,
  onNotRead: (classes: string) => void = () => {},
): Promise<StartWeights | null> {
  const key = student.weights === null ? 'backboneWeights' : 'weights';
  const file = student[key];
  if (file === null) return null;
  try {
    const bytes = await readFile(file);
    const { notRead } = sourceOf(key, bytes);
    if (notRead !== null) onNotRead(notRead);
    return { key, file, bytes };
  } catch (error) {
    throw named(key, file, error);
  }
}

/** Throws CheckpointError naming key and file where the weights don't fit the network. */
export function loadStartWeights(
  network: SegmentationNetwork,
  { key, file, bytes }: StartWeights,
): void {
  try {
    const { tensors } = sourceOf(key, bytes);
    if (key === 'weights') network.loadStateDict(tensors, { strict: true });
    else loadBackboneWeights(network, tensors);
  } catch (error) {
    throw error instanceof CheckpointError ? named(key, file, error) : error;
  }
}

function sourceOf(
  key: StartWeights['key'],
  bytes: Uint8Array,
): Pick<ImportSource, 'tensors' | 'notRead'> {
  if (key === 'backboneWeights') return readImportSource(bytes);
  return { tensors: readModelFile(bytes).tensors, notRead: null };
}

function named(key: StartWeights['key'], file: string, error: unknown): CheckpointError {
  return new CheckpointError(`student.${key}: ${file}: ${(error as Error).message}`);
}
