/**
 * The part of a run that a rank other than 0 does: it trains on its share of each batch. It has no folder: rank 0
 * has the checkpoints, the events and the evaluations.
 */
import type { StudentConfig } from '../../../src/config/student.js';
import type { Teacher } from '../../../src/contract/teacher.js';
import type { Dataset } from '../../../src/data/types.js';
import type { ProgressStream } from '../../../src/telemetry/progress.js';
import { unlessAborted } from '../../../src/threads/unlessAborted.js';
import { runLoop } from '../../../src/train/loop.js';
import { Closers } from '../../program/closers.js';
import { type ComputeClient, setTensorflowThreads, startComputing } from '../computeProtocol.js';
import { DataWarnings } from '../dataWarnings.js';
import { resolveThreads } from '../openRun.js';
import { openReporting, type Reporting } from '../reporting.js';
import { connectTeacher } from '../teacher/teacher.js';
import { openFeed } from '../trainingData.js';
import { type GreetedRun, greetingOf } from './greeting.js';
import { endComputing, joinGroup } from './membership.js';

export interface FollowerOptions {
  readonly stream: ProgressStream;
  readonly stop: AbortSignal;
}

/** What is open while it trains. */
interface Parts {
  readonly config: StudentConfig;
  readonly dataset: Dataset;
  readonly run: GreetedRun;
  readonly compute: ComputeClient;
  readonly reporting: Reporting;
  readonly closers: Closers;
}

/** Trains to the last step or to a stop. Throws what ends it otherwise, as a run of rank 0 does. */
export async function runFollower(
  given: StudentConfig,
  dataset: Dataset,
  options: FollowerOptions,
): Promise<'finished' | 'stopped'> {
  const config = resolveThreads(given, null);
  setTensorflowThreads(config);
  const closers = new Closers();
  try {
    const thread = startComputing();
    closers.add(() => endComputing(thread, config));
    const compute = thread.call;
    const greeting = await greetingOf(config, dataset.digest, null);
    const { run } = await unlessAborted(joinGroup(compute, config, greeting), options.stop);
    if (run === null) throw new Error('rank 0 opened no run');
    return await train({ config, dataset, run, compute, closers }, options);
  } catch (error) {
    if (options.stop.aborted && error === options.stop.reason) return 'stopped';
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
  const { config, dataset, run, compute, reporting, closers } = parts;
  const { log } = reporting;
  const manifest = run.isResumed ? { teacherDigest: run.teacherDigest } : null;
  const told = { dataset, run: { id: run.id, manifest }, reporting, stop };
  const teacher = await connectTeacher(config, told);
  closers.add(async () => teacher?.close());
  const warnings = new DataWarnings(log);
  const { feed, close } = openFeed(config, teacher, run.stepsDone, (batch, isLast) =>
    warnings.batch(batch, isLast),
  );
  closers.add(close);
  const ready = await unlessAborted(compute.setup(setupOf(parts, teacher)), stop);
  log.info({ ...ready, firstStep: run.stepsDone, steps: config.train.steps }, 'training');
  const { steps, accumulateSteps } = config.train;
  const { ended, haveAgreed } = await runLoop({
    ...{ firstStep: run.stepsDone, steps, accumulateSteps, feed, teacher, compute, stop },
    afterStep(report) {
      reporting.throwMissed();
      reporting.step(report);
    },
  });
  const state = await compute.leave(haveAgreed);
  log.info({ state }, 'left the group');
  return ended;
}

function setupOf({ config, dataset }: Parts, teacher: Teacher | null) {
  const { classNames } = dataset;
  const own = { config, classNames, state: null, startWeights: null };
  if (teacher === null) return { ...own, teacher };
  const { info, classifier } = teacher;
  const { featureChannels, alignCorners, digest } = info;
  return { ...own, teacher: { featureChannels, alignCorners, classifier, digest } };
}
