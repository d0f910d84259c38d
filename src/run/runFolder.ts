/** The folder of one run, which holds everything that the run writes. */
import { access, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { clearLeftovers } from './checkpointFolder.js';
import { ensureFolder, replaceFile } from './durableFiles.js';

export interface RunFolder {
  readonly path: string;
  readonly configFile: string;
  readonly eventsFile: string;
  readonly summaryFile: string;
  readonly checkpointsFolder: string;
  readonly picturesFolder: string;
}

/** The results of a run; parts that don't apply are missing. */
export interface RunSummary {
  readonly teacher?: EvaluationSummary;
  readonly baseline?: EvaluationSummary;
  readonly cirkd?: EvaluationSummary;
  readonly steps: number;
  readonly seed: number;
  readonly [more: string]: unknown;
}

/** Both 0..1. */
export interface EvaluationSummary {
  readonly miou: number;
  readonly pixelAccuracy: number;
  readonly [more: string]: unknown;
}

/** A run folder can't be used as requested; the message says why. Exit code 2. */
export class RunFolderError extends Error {
  override readonly name = 'RunFolderError';
}

/** The paths in a run folder; touches no files. */
export function runFolderAt(path: string): RunFolder {
  return {
    path,
    configFile: join(path, 'config.yaml'),
    eventsFile: join(path, 'events.jsonl'),
    summaryFile: join(path, 'summary.json'),
    checkpointsFolder: join(path, 'checkpoints'),
    picturesFolder: join(path, 'pictures'),
  };
}

/** Creates the folder of a new run, with its config. Throws RunFolderError if it holds a run. */
export async function createRunFolder(path: string, configText: string): Promise<RunFolder> {
  const folder = runFolderAt(path);
  if (await exists(folder.configFile)) {
    throw new RunFolderError(
      `${path}: already contains a run; --resume continues it, another run.id starts a new one`,
    );
  }
  await ensureFolder(folder.checkpointsFolder);
  await ensureFolder(folder.picturesFolder);
  await replaceFile(folder.configFile, configText);
  return folder;
}

/**
 * Removes what createRunFolder created, if the run couldn't start: its name can then be used again.
 * Other files in the folder are kept.
 */
export async function discardRunFolder(folder: RunFolder): Promise<void> {
  for (const file of [folder.eventsFile, folder.configFile]) await rm(file, { force: true });
  for (const empty of [folder.checkpointsFolder, folder.picturesFolder, folder.path]) {
    // Fails for a folder that isn't empty, which is then kept.
    await rmdir(empty).catch(() => {});
  }
}

/**
 * Opens the folder of an earlier run to continue it, and removes what a kill left behind.
 * Throws RunFolderError if the folder holds no run.
 */
export async function openRunFolder(
  path: string,
): Promise<{ folder: RunFolder; configText: string }> {
  const folder = runFolderAt(path);
  if (!(await exists(folder.configFile))) {
    throw new RunFolderError(`${path}: contains no run (config.yaml is missing)`);
  }
  await ensureFolder(folder.checkpointsFolder);
  await ensureFolder(folder.picturesFolder);
  await clearLeftovers(folder.checkpointsFolder);
  return { folder, configText: await readFile(folder.configFile, 'utf8') };
}

/** Atomically replaces the config that the run continues with. */
export async function writeRunConfig(folder: RunFolder, configText: string): Promise<void> {
  await replaceFile(folder.configFile, configText);
}

export async function writeSummary(folder: RunFolder, summary: RunSummary): Promise<void> {
  await replaceFile(folder.summaryFile, `${JSON.stringify(summary, null, 2)}\n`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
