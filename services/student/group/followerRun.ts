/**
 * The part of a run that a rank other than 0 does: it trains on its share of each batch, and evaluates its share of
 * data.val. It has no folder: rank 0 has the checkpoints, the events and the report.
 */
import type { StudentConfig } from '../../../src/config/student.js';
import type { Teacher } from '../../../src/contract/teacher.js';
import type { ProgressStream } from '../../../src/telemetry/progress.js';
import { unlessAborted } from '../../../src/threads/unlessAborted.js';
import { runLoop, StopAgreedError } from '../../../src/train/loop.js';
import { Closers } from '../../program/closers.js';
import { type ComputeClient, setEngineEnvironment, startComputing } from '../computeProtocol.js';
import { DataWarnings } from '../dataWarnings.js';
import { evaluateStudent } from '../evaluation.js';
import { isEvaluationDue, picturesAfter } from '../evaluationPlan.js';
import { resolveThreads } from '../openRun.js';
import { openReporting, type Reporting } from '../reporting.js';
import { connectTeacher } from '../teacher/teacher.js';
import { loaderThreads, openFeed, type RunData, validationConfig } from '../trainingData.js';
import { type GreetedRun, greetingOf } from './greeting.js';
import type { GroupNews } from './groupNews.js';
import { followGroup, setUpTogether } from './groupStart.js';
import { endComputing, joinGroup } from './membership.js';

export interface FollowerOptions {
  readonly stream: ProgressStream;
  readonly stop: AbortSignal;
}

/** What is open while it trains. */
interface Parts {
  readonly config: StudentConfig;
  readonly data: RunData;
  readonly run: GreetedRun;
  readonly news: GroupNews | null;
  readonly compute: ComputeClient;
  readonly reporting: Reporting;
  readonly closers: Closers;
}

/** Trains to the last step or to a stop. Throws what ends it otherwise, as a run of rank 0 does. */
export async function runFollower(
  given: StudentConfig,
  data: RunData,
  options: FollowerOptions,
): Promise<'finished' | 'stopped'> {
  const config = resolveThreads(given, null);
  setEngineEnvironment(config);
  const closers = new Closers();
  try {
    const thread = startComputing();
    closers.add(() => endComputing(thread, config));
    const compute = thread.call;
    const greeting = await greetingOf(config, data, null);
    const joining = joinGroup(compute, config, greeting, options);
    const { first, news } = await unlessAborted(joining, options.stop);
    closers.add(async () => news?.close());
    const { run } = first;
    if (run === null) throw new Error('rank 0 opened no run');
    return await train({ config, data, run, news, compute, closers }, options);
  } catch (error) {
    if (options.stop.aborted && error === options.stop.reason) return 'stopped';
    if (error instanceof StopAgreedError) return 'stopped';
    throw error;
  } finally {
    await closers.close();
  }
}

async function train(
  { closers, ...joined }: Omit<Parts, 'reporting'>,
  options: FollowerOptions,
): Promise<'finished' | 'stopped'> {
  const { config, run } = joined;
  const reporting = await openReporting(
    config,
    { id: run.id, folder: null, stepsDone: run.stepsDone },
    options.stream,
  );
  const { stop } = options;
  try {
    const inner = new Closers();
    try {
      return await trainWith({ ...joined, closers: inner, reporting }, stop);
    } finally {
      await inner.close();
    }
  } finally {
    await reporting.close(0, stop);
  }
}

async function trainWith(parts: Parts, stop: AbortSignal): Promise<'finished' | 'stopped'> {
  const { config, run, news, compute, reporting } = parts;
  const { log } = reporting;
  const over = followGroup(news, stop, config, reporting);
  const { ready, prepared } = await setUpTogether(compute, news, over, () => prepare(parts, over));
  const { teacher, feed, warnings } = prepared;
  log.info({ ...ready, firstStep: run.stepsDone, steps: config.train.steps }, 'training');
  const { steps, accumulateSteps } = config.train;
  const { evaluations } = run;
  const evaluate = (step: number) => evaluateShare(parts, { step, warnings, stop: over });
  const { ended, haveAgreed } = await runLoop({
    ...{ firstStep: run.stepsDone, steps, accumulateSteps, feed, teacher, compute, stop: over },
    async beforeFirst() {
      if (evaluations.isOwed) await evaluate(run.stepsDone);
    },
    async afterStep(report) {
      reporting.throwMissed();
      reporting.step(report);
      if (isEvaluationDue(evaluations, reporting.stepsDone)) await evaluate(reporting.stepsDone);
    },
  });
  const state = await compute.endTraining(haveAgreed);
  log.info({ state }, 'training has ended on all ranks');
  await compute.leave();
  return ended;
}

/** Connects the teachers and opens the feed. */
async function prepare(parts: Parts, over: AbortSignal) {
  const { config, data, run, reporting, closers } = parts;
  const manifest = run.isResumed ? { teacherDigest: run.teacherDigest } : null;
  const told = { dataset: data.train, run: { id: run.id, manifest }, reporting, stop: over };
  const teacher = await connectTeacher(config, told);
  closers.add(async () => teacher?.close());
  const warnings = new DataWarnings(reporting.log);
  const { feed, close } = openFeed(config, teacher, run.stepsDone, (batch, isLast) =>
    warnings.batch(batch, isLast),
  );
  closers.add(close);
  return { teacher, feed, warnings, setup: setupOf(parts, teacher) };
}

interface Evaluating {
  /** Updates done. */
  readonly step: number;
  readonly warnings: DataWarnings;
  readonly stop: AbortSignal;
}

async function evaluateShare(
  { config, data, run, compute }: Parts,
  { step, warnings, stop }: Evaluating,
): Promise<void> {
  const { index, workers, perMachine } = config.distributed;
  await evaluateStudent(compute, {
    config: validationConfig(config),
    dataset: data.val,
    place: { rank: index ?? 0, ranks: workers.length },
    workers: loaderThreads(config.data.workers, perMachine),
    pictures: picturesAfter(run.evaluations, step),
    ...{ stop, warnings },
  });
}

function setupOf({ config, data }: Parts, teacher: Teacher | null) {
  const { classNames } = data.train;
  const own = { config, classNames, state: null, startWeights: null };
  if (teacher === null) return { ...own, teacher };
  const { info, classifier } = teacher;
  const { featureChannels, alignCorners, digest } = info;
  return { ...own, teacher: { featureChannels, alignCorners, classifier, digest } };
}
