/** Opens a new run's folder, or an earlier run's with the checkpoint to resume from. */
import { join } from 'node:path';
import { ConfigError } from '../../src/config/configError.js';
import { changedFixedKeys } from '../../src/config/fixedKeys.js';
import { formatConfig } from '../../src/config/format.js';
import { loadConfig } from '../../src/config/load.js';
import { savedConfig } from '../../src/config/retiredKeys.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import { type Checkpoint, latestCheckpoint, loadCheckpoint } from '../../src/run/checkpoint.js';
import { stepFolders } from '../../src/run/checkpointFolder.js';
import { ensureFolder } from '../../src/run/durableFiles.js';
import { cutEventsAfter, dropEvents, readEvents } from '../../src/run/events.js';
import type { Manifest } from '../../src/run/manifest.js';
import {
  createRunFolder,
  openRunFolder,
  type RunFolder,
  RunFolderError,
  writeRunConfig,
} from '../../src/run/runFolder.js';
import { lockRun, type RunLock } from '../../src/run/runLock.js';
import { availableCores } from '../../src/threads/availableCores.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { StateFiles } from './computeProtocol.js';

/** The schema's maximum. */
const MAX_THREADS = 1024;

export interface OpenedRun {
  readonly id: string;
  readonly folder: RunFolder;
  /** The given config, completed with values that the machine or the run's start decides; saved so. */
  readonly config: StudentConfig;
  /** Whether the folder was just created, as no such run existed. */
  readonly isNew: boolean;
  /** Manifest of the checkpoint that the run resumes from; null: from the start. */
  readonly manifest: Manifest | null;
  /** Whether the events have an evaluation after the checkpoint's step. */
  readonly isEvaluated: boolean;
  /** Keeps other processes out of the folder until it's released. */
  readonly lock: RunLock;
  /** The checkpoint's state; only the first call returns it, as it isn't kept. */
  takeState(): StateFiles | null;
}

/**
 * With `resume`, continues from the newest complete checkpoint, or from the start if there is no
 * checkpoint or no run yet: a restarted container can't know. Throws RunFolderError, also if another
 * process has the folder; CheckpointError if there are checkpoints but none is complete, since a silent
 * restart would discard a run's work; ConfigError if a key that affects the result has changed.
 */
export async function openRun(
  config: StudentConfig,
  resume: boolean,
  note: (message: string) => void,
): Promise<OpenedRun> {
  const id = config.run.id ?? newId(config.seed);
  if (resume && config.run.id === null) {
    throw new RunFolderError('run.id: not given, --resume needs it to find the run');
  }
  const path = join(config.run.directory, id);
  await ensureFolder(path);
  const lock = await lockRun(path);
  try {
    const earlier = resume ? await openEarlier(path) : null;
    const opened = earlier === null ? await begin(config, path) : await goOn(config, earlier, note);
    return { id, lock, ...opened };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

type Opened = Omit<OpenedRun, 'id' | 'lock'>;

async function begin(given: StudentConfig, path: string): Promise<Opened> {
  const config = resolveThreads(given, null);
  const folder = await createRunFolder(path, formatConfig(config));
  return {
    folder,
    config,
    ...{ isNew: true, isEvaluated: false, manifest: null },
    takeState: () => null,
  };
}

async function goOn(
  given: StudentConfig,
  { folder, configText }: Earlier,
  note: (message: string) => void,
): Promise<Opened> {
  const checkpoint = await newestWhole(folder.checkpointsFolder, note);
  const config = resolveThreads(given, savedThreads(checkpoint?.manifest ?? null, configText));
  if (checkpoint !== null) refuseChanges(checkpoint, config);
  const manifest = checkpoint?.manifest ?? null;
  await writeRunConfig(folder, formatConfig(config));
  const step = manifest?.step ?? 0;
  await cutEventsAfter(folder.eventsFile, manifest === null ? -1 : step);
  if (step === config.train.steps) await dropEnd(folder.eventsFile, step);
  const events = await readEvents(folder.eventsFile);
  let state = checkpoint === null ? null : stateOf(checkpoint);
  return {
    folder,
    config,
    manifest,
    isNew: false,
    isEvaluated: events.some((event) => event.kind === 'evaluation' && event.step === step),
    takeState() {
      const taken = state;
      state = null;
      return taken;
    },
  };
}

/** Removes the events of a run's end: it is repeated from the last state and mustn't appear twice. */
async function dropEnd(eventsFile: string, step: number): Promise<void> {
  await dropEvents(
    eventsFile,
    (event) => event.step === step && (event.kind === 'evaluation' || event.kind === 'end'),
  );
}

interface Earlier {
  readonly folder: RunFolder;
  readonly configText: string;
}

async function openEarlier(path: string): Promise<Earlier | null> {
  try {
    return await openRunFolder(path);
  } catch (error) {
    if (!(error instanceof RunFolderError)) throw error;
    return null;
  }
}

/** null if nothing was saved yet. */
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
      `${folder}: no checkpoint is intact; another run.id starts a new run`,
      ...faults.map((fault) => `  ${fault}`),
    ].join('\n'),
  );
}

function stateOf({ files }: Checkpoint): StateFiles {
  return Object.fromEntries(
    [...files].map(([name, { tensors, metadata }]) => [
      name.replace(/\.safetensors$/, ''),
      { tensors, metadata },
    ]),
  );
}

function refuseChanges({ manifest, path }: Checkpoint, config: StudentConfig): void {
  const was = resolveThreads(savedConfig(studentSchema, manifest.config), null);
  // What ranks share says nothing of a single process, whose run may go on with any.
  const wasAlone = was.distributed.workers.length <= 1;
  const changed = changedFixedKeys(studentSchema, was, config).filter(
    ({ key }) => !(wasAlone && key.startsWith('distributed.')),
  );
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

/**
 * The config with train.threads 0 replaced by the saved number, else by the number of cores. It is fixed
 * for a run, since it affects the last bits of sums.
 */
export function resolveThreads(config: StudentConfig, saved: number | null): StudentConfig {
  const { train, distributed } = config;
  if (train.threads > 0) return config;
  const cores = Math.max(1, Math.floor(availableCores() / distributed.perMachine));
  const threads = saved ?? Math.min(cores, MAX_THREADS);
  return { ...config, train: { ...train, threads } };
}

/** The thread count that a run began with: from its checkpoint, else from its config.yaml. */
function savedThreads(manifest: Manifest | null, configText: string): number | null {
  const threads = manifest === null ? threadsIn(configText) : trainOf(manifest.config)?.threads;
  return typeof threads === 'number' && threads > 0 ? threads : null;
}

function threadsIn(configText: string): number | null {
  try {
    const config = loadConfig(studentSchema, { text: configText, fileName: 'config.yaml' });
    return config.train.threads;
  } catch {
    // Truncated or of another version; a run without a checkpoint doesn't depend on it.
    return null;
  }
}

function trainOf(config: Record<string, unknown>): { readonly threads?: unknown } | undefined {
  const { train } = config;
  return train !== null && typeof train === 'object' ? train : undefined;
}

export function newId(seed: number): string {
  const time = new Date().toISOString().replaceAll(/[-:]|\..*/g, '');
  return `${time}-seed${seed}`;
}
