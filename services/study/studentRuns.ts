/** The runs of a study: each is `cirkd student` as a process of its own, several at once. */
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readFinishedRun } from '../../src/report/study/finishedRun.js';
import { type FailedRun, runOf, type StudyRun } from '../../src/report/study/studyRecord.js';
import { RunFolderError } from '../../src/run/runFolder.js';
import { lockRun } from '../../src/run/runLock.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import type { ChildEnd, Children } from '../program/children.js';
import { hasOwnTeachers, type PlannedVariant, type StudyPlan } from './plan.js';
import type { StudyFolder } from './studyFolder.js';

/** Lines of a failed run's log that are kept. */
const LINES_KEPT = 15;
/** A run whose study was killed ends after its step, and is killed after 15 s. */
const LEFT_RUN_MS = 30_000;
const POLL_MS = 200;

export interface WaitingRun {
  readonly variant: PlannedVariant;
  readonly seed: number;
}

export interface RunsOptions {
  readonly plan: StudyPlan;
  readonly folder: StudyFolder;
  readonly children: Children;
  /** Of the study's own teachers; empty: it has none. */
  readonly addresses: readonly string[];
  readonly parallel: number;
  readonly stop: AbortSignal;
  /** Rejects when the runs can't go on. */
  readonly doomed: Promise<never>;
  readonly say: (line: string) => void;
}

/** Runs that aren't finished, seed by seed, so that pairs are complete early. */
export function waitingRuns({ study, variants }: StudyPlan, folder: StudyFolder): WaitingRun[] {
  const results = folder.results();
  return study.seeds.flatMap((seed) =>
    variants
      .filter(({ name }) => runOf(results, name, seed)?.state !== 'finished')
      .map((variant) => ({ seed, variant })),
  );
}

/**
 * Runs all that are waiting. Failed runs don't stop the others. After another error, such as a full disk, no run is
 * started any more, and it is thrown when those that are under way have ended. Throws the reason of `stop` or of
 * `doomed`, at once.
 */
export async function runStudents(
  waiting: readonly WaitingRun[],
  options: RunsOptions,
): Promise<void> {
  const { parallel, folder, say } = options;
  const left = [...waiting];
  let done = 0;
  const job = async () => {
    try {
      await runLeft();
    } catch (error) {
      left.splice(0);
      throw error;
    }
  };
  const runLeft = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const beganMs = performance.now();
      const run = await runStudent(next, options);
      await folder.add(run);
      done += 1;
      const seconds = ((performance.now() - beganMs) / 1000).toFixed(0);
      say(`[${done}/${waiting.length}] ${runId(next)}: ${endText(run)}, ${seconds} s`);
    }
  };
  const jobs = await Promise.allSettled(Array.from({ length: parallel }, job));
  for (const each of jobs) if (each.status === 'rejected') throw each.reason;
}

async function runStudent(
  waiting: WaitingRun,
  { plan, folder, children, addresses, stop, doomed }: RunsOptions,
): Promise<StudyRun> {
  const { variant, seed } = waiting;
  const id = runId(waiting);
  const path = join(folder.path, id);
  await untilFree(path, stop);
  const settings = [
    `seed=${seed}`,
    `run.directory=${JSON.stringify(folder.path)}`,
    `run.id=${id}`,
    ...(hasOwnTeachers(variant, plan) ? [`teacher.addresses=${JSON.stringify(addresses)}`] : []),
    ...digestSetting(variant, folder),
  ];
  const logFile = `${path}.log`;
  const before = existsSync(logFile) ? statSync(logFile).size : 0;
  const log = openSync(logFile, 'a');
  const child = children.start(
    [
      ...['student', '--config', folder.configFile(variant.name), '--resume'],
      ...settings.flatMap((one) => ['--set', one]),
    ],
    ['ignore', log, log],
  );
  closeSync(log);
  const end = await unlessAborted(Promise.race([child.ended, doomed]), stop);
  if (end.code !== 0) return failed(waiting, end, readFileSync(logFile).subarray(before));
  const run = await readFinishedRun(path, { variant: variant.name, seed });
  if (run.teacherDigest !== null) await folder.expectTeacher(variant.name, run.teacherDigest);
  return run;
}

/** Name of the run and of its folder. */
export function runId({
  variant,
  seed,
}: {
  readonly variant: { readonly name: string };
  readonly seed: number;
}): string {
  return `${variant.name}-seed${seed}`;
}

/** All runs of a variant have the same teacher, also when its fleet was replaced in the meantime. */
function digestSetting({ name, isTaught, config }: PlannedVariant, folder: StudyFolder): string[] {
  const digest = folder.teacherDigest(name);
  if (!isTaught || digest === null || config.teacher.digest !== null) return [];
  return [`teacher.digest=${JSON.stringify(digest)}`];
}

function failed({ variant, seed }: WaitingRun, end: ChildEnd, output: Buffer): FailedRun {
  const lines = output.toString('utf8').trimEnd().split('\n');
  return {
    ...{ variant: variant.name, seed, state: 'failed' },
    ...{ exitCode: end.code, signal: end.signal },
    lastLines: lines.slice(-LINES_KEPT),
  };
}

function endText(run: StudyRun): string {
  if (run.state === 'finished') return `finished, ${(100 * run.miou).toFixed(2)} % mIoU`;
  const how = run.signal === null ? `exit code ${run.exitCode}` : `signal ${run.signal}`;
  return [`FAILED with ${how}; its last lines:`, ...run.lastLines.slice(-3)].join('\n    ');
}

/** Waits for a run that a killed study left and that is still saving its state. */
async function untilFree(path: string, stop: AbortSignal): Promise<void> {
  if (!existsSync(path)) return;
  const endMs = performance.now() + LEFT_RUN_MS;
  for (;;) {
    try {
      const lock = await lockRun(path);
      await lock.release();
      return;
    } catch (error) {
      // After that time the run itself says who has its folder.
      if (!(error instanceof RunFolderError) || performance.now() > endMs) return;
    }
    await unlessAborted(sleep(POLL_MS), stop);
  }
}
