/** The folder of one run: where everything that it leaves lies. */
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

/** What a run came to; the parts that apply. */
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

/** A run folder that can't be used as asked; the message says why. Exit code 2. */
export class RunFolderError extends Error {
  override readonly name = 'RunFolderError';
}

/** The paths of a run folder; nothing is touched. */
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

/** Makes the folder of a new run, with its config. Throws RunFolderError where a run lies there. */
export async function createRunFolder(path: string, configText: string): Promise<RunFolder> {
  const folder = runFolderAt(path);
  if (await exists(folder.configFile)) {
    throw new RunFolderError(
      `${path}: a run lies there already; --resume goes on with it, another run.id starts a new one`,
    );
  }
  await ensureFolder(folder.checkpointsFolder);
  await ensureFolder(folder.picturesFolder);
  await replaceFile(folder.configFile, configText);
  return folder;
}

/**
 * Takes away what createRunFolder made, for a run that couldn't start: its name is free again.
 * What others put there stays.
 */
export async function discardRunFolder(folder: RunFolder): Promise<void> {
  for (const file of [folder.eventsFile, folder.configFile]) await rm(file, { force: true });
  for (const empty of [folder.checkpointsFolder, folder.picturesFolder, folder.path]) {
    // A folder that holds something isn't removed.
    await rmdir(empty).catch(() => {});
  }
}

/**
 * Opens the folder of an earlier run to go on with it, and clears what a kill left.
 * Throws RunFolderError where there is none.
 */
export async function openRunFolder(
  path: string,
): Promise<{ folder: RunFolder; configText: string }> {
  const folder = runFolderAt(path);
  if (!(await exists(folder.configFile))) {
    throw new RunFolderError(`${path}: no run lies there (config.yaml is missing)`);
  }
  await ensureFolder(folder.checkpointsFolder);
  await ensureFolder(folder.picturesFolder);
  await clearLeftovers(folder.checkpointsFolder);
  return { folder, configText: await readFile(folder.configFile, 'utf8') };
}

/** The config that the run goes on with; replaces the one before at once. */
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
