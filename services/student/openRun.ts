/** A new run's folder, or an earlier one's with the checkpoint to go on from. */
import { join } from 'node:path';
import { ConfigError } from '../../src/config/configError.js';
import { changedFixedKeys } from '../../src/config/fixedKeys.js';
import { formatConfig } from '../../src/config/format.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import {
  type Checkpoint,
  CheckpointError,
  latestCheckpoint,
  loadCheckpoint,
} from '../../src/run/checkpoint.js';
import { stepFolders } from '../../src/run/checkpointFolder.js';
import { cutEventsAfter } from '../../src/run/events.js';
import {
  createRunFolder,
  openRunFolder,
  type RunFolder,
  RunFolderError,
  writeRunConfig,
} from '../../src/run/runFolder.js';

export interface OpenedRun {
  readonly id: string;
  readonly folder: RunFolder;
  /** The folder was made now; there was no such run before. */
  readonly isNew: boolean;
  /** null: from the start. */
  readonly checkpoint: Checkpoint | null;
}

/**
 * With `resume`, goes on from the newest whole checkpoint (from the start if there is none yet, or
 * no run: a restarted container doesn't know). Throws RunFolderError; CheckpointError where there
 * are checkpoints and none is whole: to start again without a word would throw a run's work away;
 * ConfigError where a key that decides the result has changed.
 */
export async function openRun(
  config: StudentConfig,
  resume: boolean,
  note: (message: string) => void,
): Promise<OpenedRun> {
  const id = config.run.id ?? newId(config.seed);
  if (resume && config.run.id === null) {
    throw new RunFolderError('run.id: not given, --resume has to know which run goes on');
  }
  const path = join(config.run.directory, id);
  const text = formatConfig(config);
  const earlier = resume ? await openEarlier(path) : null;
  if (earlier === null) {
    return { id, folder: await createRunFolder(path, text), isNew: true, checkpoint: null };
  }
  const checkpoint = await newestWhole(earlier.checkpointsFolder, note);
  if (checkpoint !== null) refuseChanges(checkpoint, config);
  await writeRunConfig(earlier, text);
  await cutEventsAfter(earlier.eventsFile, checkpoint?.manifest.step ?? -1);
  return { id, folder: earlier, isNew: false, checkpoint };
}

async function openEarlier(path: string): Promise<RunFolder | null> {
  try {
    return (await openRunFolder(path)).folder;
  } catch (error) {
    if (!(error instanceof RunFolderError)) throw error;
    return null;
  }
}

/** null where nothing was saved yet. */
async function newestWhole(
  folder: string,
  note: (message: string) => void,
): Promise<Checkpoint | null> {
  const faults: string[] = [];
  const newest = await latestCheckpoint(folder, (message) => {
    faults.push(message);
    note(message);
  });
  if (newest !== null) return loadCheckpoint(newest);
  if ((await stepFolders(folder)).length === 0) return null;
  throw new CheckpointError(
    [
      `${folder}: no checkpoint is whole; another run.id starts a new run`,
      ...faults.map((fault) => `  ${fault}`),
    ].join('\n'),
  );
}

function refuseChanges({ manifest, path }: Checkpoint, config: StudentConfig): void {
  const was = manifest.config as unknown as StudentConfig;
  const changed = changedFixedKeys(studentSchema, was, config);
  if (changed.length === 0) return;
  throw new ConfigError(
    path,
    changed.map((change) => ({
      key: change.key,
      line: null,
      override: null,
      message: `was ${JSON.stringify(change.was)}, is ${JSON.stringify(change.is)}: a resumed run can't change it`,
    })),
  );
}

function newId(seed: number): string {
  const time = new Date().toISOString().replaceAll(/[-:]|\..*/g, '');
  return `${time}-seed${seed}`;
}
