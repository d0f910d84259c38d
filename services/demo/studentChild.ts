/** Runs one of the demo's students to its end: `cirkd student` as a process of its own. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lastStart, type RunEvent, readEvents } from '../../src/run/events.js';
import { type RunFolder, runFolderAt } from '../../src/run/runFolder.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import { ChildFailedError, type Children } from '../program/children.js';
import { SCRAPE_EVERY_MS } from './lagProbe.js';

/** The role in summary.json, and the name of the run's folder. */
export type Role = 'baseline' | 'cirkd';

export interface StudentScores {
  /** Both 0..1. */
  readonly miou: number;
  readonly pixelAccuracy: number;
  /** IoU per class, 0..1. */
  readonly iou: Readonly<Record<string, number>>;
}

export interface StudentRun {
  readonly role: Role;
  readonly folder: RunFolder;
  readonly events: readonly RunEvent[];
  readonly scores: StudentScores;
}

export interface StudentChildOptions {
  readonly role: Role;
  readonly configFile: string;
  /** key=value, the same for both students. */
  readonly overrides: readonly string[];
  /** Folder that will hold the run's folder. */
  readonly directory: string;
  /** null: trains only on labels. */
  readonly teacherAddress: string | null;
  readonly stop: AbortSignal;
  /** Rejects when the run can't go on. */
  readonly doomed: Promise<never>;
}

/**
 * Runs to the end; progress and log go to this process' standard error, passed on as it is, so that
 * a terminal stays one. Throws ChildFailedError.
 */
export async function runStudentChild(
  children: Children,
  options: StudentChildOptions,
): Promise<StudentRun> {
  const { role, configFile, directory, teacherAddress, stop, doomed } = options;
  const overrides = [
    ...options.overrides,
    `teacher.addresses=${JSON.stringify(teacherAddress === null ? [] : [teacherAddress])}`,
    `run.directory=${JSON.stringify(directory)}`,
    `run.id=${role}`,
    'metrics.port=0',
    // So that the last scrape of the watched student sees the finished run.
    `metrics.lingerMs=${teacherAddress === null ? 0 : 2 * SCRAPE_EVERY_MS}`,
    'log.format=text',
  ];
  const child = children.start(
    ['student', '--config', configFile, ...overrides.flatMap((one) => ['--set', one])],
    ['ignore', 'ignore', 'inherit'],
  );
  const end = await unlessAborted(Promise.race([child.ended, doomed]), stop);
  if (end.code !== 0) throw new ChildFailedError(`the student (${role})`, end);
  const folder = runFolderAt(join(directory, role));
  const summary = JSON.parse(await readFile(folder.summaryFile, 'utf8')) as Record<
    Role,
    StudentScores
  >;
  return { role, folder, events: await readEvents(folder.eventsFile), scores: summary[role] };
}

/** The metrics URL of a run, once its events have it. */
export async function metricsUrlOf(folder: RunFolder): Promise<string | null> {
  const url = lastStart(await readEvents(folder.eventsFile))['metrics'];
  return typeof url === 'string' ? url : null;
}
