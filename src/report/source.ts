/** Reads from a run's folder everything that its report is made of. */
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { lastStart, type RunEvent, readEvents } from '../run/events.js';
import { RunFolderError, runFolderAt } from '../run/runFolder.js';
import { loadPictures } from './pictures.js';
import type { ReportPictures } from './reportData.js';
import {
  type EvaluationRecord,
  evaluationRecords,
  type StepRecord,
  stepRecords,
} from './stepRecords.js';

export interface ReportSource {
  readonly id: string;
  readonly configText: string;
  readonly steps: readonly StepRecord[];
  readonly evaluations: readonly EvaluationRecord[];
  /** In the order of the IoUs; null if the run didn't record them. */
  readonly classNames: readonly string[] | null;
  readonly seed: number | null;
  /** Whether the run reached its last step. */
  readonly isFinished: boolean;
  /** The teacher at the last start; null: trained on labels alone. */
  readonly teacher: Readonly<Record<string, unknown>> | null;
  /** Versions and machine at the last start. */
  readonly environment: Readonly<Record<string, unknown>>;
  /** Terms with a weight above 0 that weren't computed, and why; null: none, or not recorded. */
  readonly leftOut: Readonly<Record<string, unknown>> | null;
  readonly pictures: ReportPictures | null;
}

/** Throws RunFolderError if the folder holds no run. An unfinished run is read up to its last event. */
export async function readReportSource(path: string): Promise<ReportSource> {
  const folder = runFolderAt(path);
  const configText = await configAt(path, folder.configFile);
  const events = await readEvents(folder.eventsFile);
  const start = lastStart(events);
  const classNames = start['classNames'];
  return {
    id: basename(resolve(path)),
    configText,
    steps: stepRecords(events),
    evaluations: evaluationRecords(events),
    classNames: Array.isArray(classNames) ? classNames.map(String) : null,
    seed: typeof start['seed'] === 'number' ? start['seed'] : null,
    isFinished: events.some(({ kind }) => kind === 'end'),
    teacher: record(start['teacher']),
    environment: environmentIn(events),
    leftOut: record(start['leftOut']),
    pictures: await loadPictures(folder.picturesFolder),
  };
}

/** Versions and machine, keyed by name; older runs recorded the engine's versions only. */
export function environmentIn(events: readonly RunEvent[]): Readonly<Record<string, unknown>> {
  const start = lastStart(events);
  return record(start['environment']) ?? record(start['engine']) ?? {};
}

/** One line per entry, with name and value aligned. */
export function alignedText(values: Readonly<Record<string, unknown>>): string {
  const width = Math.max(0, ...Object.keys(values).map((name) => name.length));
  return Object.entries(values)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}`)
    .join('\n');
}

async function configAt(path: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code;
    const why = missing === 'ENOENT' || missing === 'ENOTDIR' ? 'is missing' : String(missing);
    throw new RunFolderError(`${path}: contains no run (config.yaml ${why})`);
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
