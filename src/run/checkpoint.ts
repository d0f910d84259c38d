/**
 * A checkpoint: a folder step-00000123 with safetensors files and a manifest of their hashes.
 *
 * It is written under a temporary name, its files and the folder are flushed, and it is renamed at
 * the end: a folder with the final name is complete. The next save removes what a kill left behind.
 */
import { mkdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CheckpointError } from '../wire/checkpointError.js';
import type { NamedTensors, SafetensorsFile } from '../wire/safetensors.js';
import { parseSafetensors } from '../wire/safetensors.js';
import type { FileFacts } from './checkpointFile.js';
import { fileFacts, readHashed, writeTensors } from './checkpointFile.js';
import {
  clearLeftovers,
  discardFolder,
  REPLACED_PREFIX,
  rotateCheckpoints,
  stepFolders,
  TEMPORARY_PREFIX,
} from './checkpointFolder.js';
import { ensureFolder, flushFolder, writeFlushed } from './durableFiles.js';
import type { Manifest } from './manifest.js';
import {
  FORMAT_VERSION,
  formatManifest,
  isCheckpointFileName,
  MANIFEST_NAME,
  readManifest,
  stepFolderName,
} from './manifest.js';

export interface CheckpointContent extends Omit<Manifest, 'formatVersion' | 'files'> {
  /** Keyed by file name, e.g. student.safetensors. */
  readonly files: Readonly<
    Record<string, { readonly tensors: NamedTensors; readonly metadata?: Record<string, string> }>
  >;
}

/** A checkpoint in memory, with all its files' hashes checked. */
export interface Checkpoint {
  readonly path: string;
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, SafetensorsFile>;
}

/**
 * Saves a checkpoint, then removes all but the newest `keep` checkpoints and the best one. Replaces a
 * checkpoint of the same step. Returns the path of the new folder.
 * Throws CheckpointError, e.g. if the disk is full; earlier checkpoints are then unchanged.
 */
export async function saveCheckpoint(
  folder: string,
  content: CheckpointContent,
  keep = Number.POSITIVE_INFINITY,
): Promise<string> {
  try {
    return await save(folder, content, keep);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const why = (error as Error).message;
    throw new CheckpointError(`${folder}: step ${content.step} cannot be saved: ${why}`, {
      cause: error,
    });
  }
}

async function save(folder: string, content: CheckpointContent, keep: number): Promise<string> {
  await ensureFolder(folder);
  await clearLeftovers(folder);
  const name = stepFolderName(content.step);
  const temporary = join(folder, `${TEMPORARY_PREFIX}${name}`);
  await mkdir(temporary);
  await writeContent(temporary, content);
  const path = join(folder, name);
  await putInPlace(folder, temporary, path);
  await rotateCheckpoints(folder, keep);
  return path;
}

async function writeContent(folder: string, content: CheckpointContent): Promise<void> {
  const { files, ...fields } = content;
  const facts: Record<string, FileFacts> = {};
  for (const [name, { tensors, metadata }] of Object.entries(files)) {
    if (!isCheckpointFileName(name)) {
      throw new CheckpointError(`${name}: wanted a file name of letters ending in .safetensors`);
    }
    facts[name] = await writeTensors(join(folder, name), tensors, metadata ?? {});
  }
  const manifest = formatManifest({ formatVersion: FORMAT_VERSION, ...fields, files: facts });
  await writeFlushed(join(folder, MANIFEST_NAME), manifest);
  await flushFolder(folder);
}

/** A resumed run may save a step again: the old folder is set aside before it is replaced. */
async function putInPlace(folder: string, temporary: string, path: string): Promise<void> {
  const replaced = join(folder, `${REPLACED_PREFIX}${basename(path)}`);
  try {
    await rename(temporary, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    await rename(path, replaced);
    await rename(temporary, path);
    await discardFolder(replaced);
  }
  await flushFolder(folder);
}

/** Reads a whole checkpoint. Throws CheckpointError if a file is missing, truncated or changed. */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  const manifest = await readManifest(path);
  const files = new Map<string, SafetensorsFile>();
  for (const [name, wanted] of Object.entries(manifest.files)) {
    const filePath = join(path, name);
    const { data, ...got } = await reading(filePath, () => readHashed(filePath, wanted.bytes));
    compareFacts(filePath, got, wanted);
    try {
      files.set(name, parseSafetensors(data));
    } catch (error) {
      throw new CheckpointError(`${filePath}: ${(error as Error).message}`);
    }
  }
  return { path, manifest, files };
}

/** Checks every hash without keeping the data in memory. Throws CheckpointError. */
export async function verifyCheckpoint(path: string): Promise<Manifest> {
  const manifest = await readManifest(path);
  for (const [name, wanted] of Object.entries(manifest.files)) {
    const filePath = join(path, name);
    compareFacts(filePath, await reading(filePath, () => fileFacts(filePath)), wanted);
  }
  return manifest;
}

/**
 * The newest checkpoint that is complete and undamaged, or null. Skips all others and passes `note`
 * a message that names the file and its fault.
 */
export async function latestCheckpoint(
  folder: string,
  note: (message: string) => void = () => {},
): Promise<string | null> {
  for (const { path } of (await stepFolders(folder)).reverse()) {
    try {
      await verifyCheckpoint(path);
      return path;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      note(`checkpoint skipped: ${error.message}`);
    }
  }
  return null;
}

async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CheckpointError(`${path}: ${missing ? 'not there' : (error as Error).message}`);
  }
}

function compareFacts(path: string, got: FileFacts, wanted: FileFacts): void {
  if (got.bytes !== wanted.bytes) {
    throw new CheckpointError(`${path}: ${got.bytes} bytes, wanted ${wanted.bytes} (truncated?)`);
  }
  if (got.sha256 !== wanted.sha256) {
    throw new CheckpointError(`${path}: damaged: sha256 is ${got.sha256}, wanted ${wanted.sha256}`);
  }
}
