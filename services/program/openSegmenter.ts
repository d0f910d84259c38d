/** Opens the network that a command names: a model file, a checkpoint, or a run. */
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Products } from '../../src/contract/products.js';
import { type LoadedSegmenter, loadSegmenter } from '../../src/evaluate/networkSegmenter.js';
import { latestCheckpoint, verifyCheckpoint } from '../../src/run/checkpoint.js';
import { bestCheckpoint } from '../../src/run/checkpointFolder.js';
import { MANIFEST_NAME } from '../../src/run/manifest.js';
import { runFolderAt } from '../../src/run/runFolder.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';

const STUDENT_FILE = 'student.safetensors';

/**
 * The network of a model file, of a checkpoint's folder, or of a run's folder (its best checkpoint, or
 * the newest if none is marked). Throws CheckpointError that names the file and the fault.
 */
export async function openSegmenter(
  path: string,
  products: Products = 'float32',
): Promise<LoadedSegmenter> {
  const file = await modelFileAt(path);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new CheckpointError(`${file}: ${(error as Error).message}`);
  }
  try {
    return loadSegmenter(bytes, products);
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${file}: ${error.message}`);
    throw error;
  }
}

async function modelFileAt(path: string): Promise<string> {
  if (!existsSync(path) || !statSync(path).isDirectory()) return path;
  const checkpoint = await checkpointAt(path);
  await verifyCheckpoint(checkpoint);
  return join(checkpoint, STUDENT_FILE);
}

async function checkpointAt(folder: string): Promise<string> {
  if (existsSync(join(folder, MANIFEST_NAME))) return folder;
  const { checkpointsFolder } = runFolderAt(folder);
  const all = existsSync(checkpointsFolder) ? checkpointsFolder : folder;
  const best = await bestCheckpoint(all);
  if (best !== null && existsSync(best.path)) return best.path;
  const faults: string[] = [];
  const newest = await latestCheckpoint(all, (fault) => faults.push(fault));
  if (newest !== null) return newest;
  throw new CheckpointError(
    [`${folder}: neither a complete checkpoint nor a folder that contains one`, ...faults].join(
      '\n  ',
    ),
  );
}
