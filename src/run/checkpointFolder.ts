/** The folder that holds a run's checkpoints: lists, marks the best one, rotates. */
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { CheckpointError } from '../wire/checkpointError.js';
import { flushFolder, replaceFile } from './durableFiles.js';
import { stepFolderName, stepOfFolder } from './manifest.js';

/** Prefix of a folder that is being written or removed; its content is worthless. */
export const TEMPORARY_PREFIX = '.tmp-';
/** Prefix of a complete checkpoint that is being replaced; kept until its replacement is in place. */
export const REPLACED_PREFIX = '.replaced-';

const BEST_NAME = 'best.json';

const bestSchema = z.strictObject({ step: z.number().int().min(0), miou: z.number() });

export interface BestCheckpoint {
  readonly step: number;
  /** 0..1 */
  readonly miou: number;
  readonly path: string;
}

/** Checkpoint folders, told by their names, oldest step first; their content isn't checked. */
export async function stepFolders(folder: string): Promise<{ step: number; path: string }[]> {
  const found: { step: number; path: string }[] = [];
  for (const name of await namesIn(folder)) {
    const step = stepOfFolder(name);
    if (step !== null) found.push({ step, path: join(folder, name) });
  }
  return found.sort((a, b) => a.step - b.step);
}

/** Removes what a killed save or rotation left, and restores what a killed replacement set aside. */
export async function clearLeftovers(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    if (name.startsWith(TEMPORARY_PREFIX)) {
      await rm(path, { recursive: true, force: true });
    } else if (name.startsWith(REPLACED_PREFIX)) {
      const home = join(folder, name.slice(REPLACED_PREFIX.length));
      if (existsSync(home)) await discardFolder(path);
      else await rename(path, home);
    }
  }
}

/** Removes a folder such that a kill during removal leaves nothing that looks complete. */
export async function discardFolder(path: string): Promise<void> {
  const doomed = join(dirname(path), `${TEMPORARY_PREFIX}removed-${basename(path)}`);
  await rename(path, doomed);
  await rm(doomed, { recursive: true, force: true });
}

/** Removes all but the newest `keep` checkpoints and the best one. */
export async function rotateCheckpoints(folder: string, keep: number): Promise<void> {
  const best = await bestCheckpoint(folder);
  const all = await stepFolders(folder);
  for (const { path } of all.slice(0, Math.max(0, all.length - keep))) {
    if (path !== best?.path) await discardFolder(path);
  }
  await flushFolder(folder);
}

/** Marks a step's saved checkpoint as the best so far; rotation then keeps it. */
export async function markBestCheckpoint(
  folder: string,
  best: { readonly step: number; readonly miou: number },
): Promise<void> {
  const path = join(folder, stepFolderName(best.step));
  if (!existsSync(path)) throw new CheckpointError(`${path}: not there, cannot be the best`);
  const { step, miou } = best;
  await replaceFile(join(folder, BEST_NAME), `${JSON.stringify({ step, miou })}\n`);
}

/** The checkpoint last marked as best, or null. Throws CheckpointError on an unreadable mark. */
export async function bestCheckpoint(folder: string): Promise<BestCheckpoint | null> {
  const file = join(folder, BEST_NAME);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { step, miou } = bestSchema.parse(JSON.parse(text));
    return { step, miou, path: join(folder, stepFolderName(step)) };
  } catch {
    throw new CheckpointError(`${file}: got ${JSON.stringify(text)}, wanted {"step", "miou"}`);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
