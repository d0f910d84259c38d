/**
 * A study: the same student in several variants and with several seeds, each run a process of its own.
 *
 *     plan → own teachers → runs, several at once → tables, report
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadPictures } from '../../src/report/pictures.js';
import { picturesBeside } from '../../src/report/picturesBeside.js';
import type { ReportPictures } from '../../src/report/reportData.js';
import { finishedRuns, type StudyResults } from '../../src/report/study/studyRecord.js';
import { studyReport } from '../../src/report/study/studyReport.js';
import { writeReport } from '../../src/report/writeReport.js';
import { runFolderAt } from '../../src/run/runFolder.js';
import { availableCores } from '../../src/threads/availableCores.js';
import { Children } from '../program/children.js';
import { openRunData } from '../student/trainingData.js';
import { type OwnTeachers, startOwnTeachers } from './ownTeachers.js';
import { hasOwnTeachers, type StudyPlan } from './plan.js';
import { runId, runStudents, type WaitingRun, waitingRuns } from './studentRuns.js';
import { StudyFolder } from './studyFolder.js';

/** For a step of a large run and saving. Who can't wait sends a second signal, which kills the runs. */
const GRACE_MS = 600_000;

export interface StudyOptions {
  readonly plan: StudyPlan;
  /** The study's folder; created if it isn't there. */
  readonly out: string;
  /** Trains nothing: only makes tables and report of what is there. */
  readonly reportOnly: boolean;
  readonly stop: AbortSignal;
  /** Tells people what is happening. */
  readonly say: (line: string) => void;
}

export interface StudyEnd {
  readonly results: StudyResults;
  readonly html: string;
  readonly png: string;
}

/**
 * Goes on where an earlier call stopped. Failed runs are in the results; they are tried again by the next call.
 * Throws RunFolderError, UsageError, DataError before anything runs; ChildFailedError if the teachers fail; the
 * reason of `stop`.
 */
export async function runStudy(options: StudyOptions): Promise<StudyEnd> {
  const { plan, out, reportOnly, say } = options;
  const data = reportOnly ? {} : dataDigests(plan);
  const folder = await StudyFolder.open(out, plan, threadsPerRun(plan), data);
  try {
    const waiting = waitingRuns(plan, folder);
    if (!reportOnly && waiting.length > 0) await train(folder, waiting, options);
    const results = folder.results();
    const report = studyReport(results, {
      pictures: await picturesOf(folder, results),
      details: await configsOf(folder, plan),
    });
    if (reportOnly && waiting.length > 0) say(`not finished: ${countText(waiting.length)}`);
    return { results, ...(await writeReport(out, report)) };
  } finally {
    await folder.close();
  }
}

/** Throws DataError. */
function dataDigests({ variants }: StudyPlan): Record<string, string> {
  return Object.fromEntries(
    variants.flatMap(({ name, config }) => {
      const { train, val } = openRunData(config);
      return [
        [`variants.${name}: data.train`, train.digest],
        [`variants.${name}: data.val`, val.digest],
      ];
    }),
  );
}

async function train(
  folder: StudyFolder,
  waiting: readonly WaitingRun[],
  { plan, stop, say }: StudyOptions,
): Promise<void> {
  const parallel = Math.min(waiting.length, parallelOf(plan, folder));
  say(
    `${plan.name}: ${countText(waiting.length)} to do, ${parallel} at once; logs in ${folder.path}`,
  );
  const children = new Children(GRACE_MS);
  const over = new AbortController();
  try {
    const teachers = await ownTeachers(folder, waiting, {
      ...{ plan, children, stop, say, over, students: parallel },
    });
    await runStudents(waiting, {
      ...{ plan, folder, children, parallel, stop, say },
      addresses: teachers?.addresses ?? [],
      doomed: teachers?.gone ?? new Promise<never>(() => {}),
    });
  } catch (error) {
    // A terminal's Ctrl-C goes to the children too, and one of them may have ended first.
    stop.throwIfAborted();
    throw error;
  } finally {
    if (stop.aborted)
      say('stopping: each run finishes its step and saves; another signal kills them');
    over.abort();
    await children.close();
  }
}

async function ownTeachers(
  folder: StudyFolder,
  waiting: readonly WaitingRun[],
  {
    plan,
    over,
    ...rest
  }: Pick<StudyOptions, 'plan' | 'stop' | 'say'> & {
    readonly children: Children;
    readonly over: AbortController;
    readonly students: number;
  },
): Promise<OwnTeachers | null> {
  const taught = waiting
    .map(({ variant }) => variant)
    .filter((variant) => hasOwnTeachers(variant, plan));
  if (taught.length === 0) return null;
  const options = { ...rest, folder: folder.path, over: over.signal };
  const teachers = await startOwnTeachers(plan, taught, options);
  // Of variants that are finished, too: they are compared with those that this teacher teaches.
  for (const variant of plan.variants) {
    if (hasOwnTeachers(variant, plan)) await folder.expectTeacher(variant.name, teachers.digest);
  }
  return teachers;
}

function countText(runs: number): string {
  return runs === 1 ? '1 run' : `${runs} runs`;
}

/** Threads of a run whose config leaves them open. */
function threadsPerRun({ study: { parallel } }: StudyPlan): number {
  return parallel === null ? 1 : Math.max(1, Math.floor(availableCores() / parallel));
}

/** At least one run, and as many as have the cores. */
export function parallelOf({ study, variants }: StudyPlan, folder: StudyFolder): number {
  if (study.parallel !== null) return study.parallel;
  const threads = Math.max(...variants.map(({ name }) => folder.threadsOf(name)));
  return Math.max(1, Math.floor(availableCores() / threads));
}

/** Those of the first seed that most variants have finished. */
async function picturesOf(
  folder: StudyFolder,
  results: StudyResults,
): Promise<ReportPictures | null> {
  const counted = results.seeds.map((seed) => ({ seed, runs: runsOf(results, seed) }));
  const most = Math.max(0, ...counted.map(({ runs }) => runs.length));
  const chosen = counted.find(({ runs }) => runs.length === most);
  if (chosen === undefined || most === 0) return null;
  const saved = await Promise.all(
    chosen.runs.map(async (variant) => ({
      name: variant.title,
      pictures: await loadPictures(
        runFolderAt(join(folder.path, runId({ variant, seed: chosen.seed }))).picturesFolder,
      ),
    })),
  );
  const beside = picturesBeside(saved);
  return beside === null ? null : { ...beside, title: `Predictions on val, seed ${chosen.seed}` };
}

/** Variants that have finished a seed. */
function runsOf(results: StudyResults, seed: number) {
  return results.variants.filter(({ name }) =>
    finishedRuns(results, name).some((run) => run.seed === seed),
  );
}

async function configsOf(folder: StudyFolder, { variants }: StudyPlan) {
  return Promise.all(
    variants.map(async ({ name, title }) => ({
      name: `Config, ${title}`,
      text: await readFile(folder.configFile(name), 'utf8'),
    })),
  );
}
