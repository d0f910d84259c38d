/**
 * The student trainer: image+label → augment → wire → teacher → wire → student net → losses ⇄ banks
 * → update → metrics, checkpoint, report.
 */
import type { StudentConfig } from '../../src/config/student.js';
import { studentConfigNotes } from '../../src/config/studentChecks.js';
import type { Dataset } from '../../src/data/types.js';
import { NonFiniteReplyError, type Teacher } from '../../src/contract/teacher.js';
import { discardRunFolder, writeSummary } from '../../src/run/runFolder.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import type { ProgressStream } from '../../src/telemetry/progress.js';
import type { Feed } from '../../src/train/feed.js';
import { runLoop } from '../../src/train/loop.js';
import { NonFiniteLossError } from '../../src/train/outcome.js';
import { killChildren } from '../setup/subprocess.mjs';
import { Checkpointing } from './checkpointing.js';
import { type ComputeClient, type ComputeReady, startComputing } from './computeProtocol.js';
import { connectTeacher } from './connectTeacher.js';
import { openTrainingData, validationConfig } from './datasetConfigs.js';
import { environmentOf } from '../program/environment.js';
import { evaluateStudent } from './evaluation.js';
import { labelSource, tellLabels } from './labelSource.js';
import { leaveOutTerms } from './leftOutTerms.js';
import { openFeed } from './openFeed.js';
import { type OpenedRun, openRun } from './openRun.js';
import { openReporting, type Reporting } from './reporting.js';
import { writeRunReport } from './runReport.js';
import { readStartWeights, type StartWeights } from './startWeights.js';
import { setTensorflowThreads } from './threads.js';

export interface StudentOptions {
  readonly resume: boolean;
  /** Where progress and log lines go. */
  readonly stream: ProgressStream;
  /** Aborted when the run shall stop after the present step, with its state saved. */
  readonly stop: AbortSignal;
}

export interface StudentEnd {
  /** 'stopped': by the signal, state saved. */
  readonly ended: 'finished' | 'stopped';
  /** null: stopped before it began, nothing is left. */
  readonly folder: string | null;
}

/**
 * Runs to the last step. Throws the errors that the exit codes stand for; where training had begun
 * the state after the last whole step is saved first. A new run that is refused or stopped before
 * it begins leaves no folder.
 */
export async function runStudent(
  config: StudentConfig,
  options: StudentOptions,
): Promise<StudentEnd> {
  const { stop } = options;
  const dataset = openTrainingData(config);
  const notes: string[] = [];
  const run = await openRun(config, options.resume, (message) => notes.push(message));
  setTensorflowThreads(run.config);
  const progress = { begun: false };
  try {
    const ended = await trainReported(run, dataset, { ...options, notes, progress });
    return { ended, folder: run.folder.path };
  } catch (error) {
    if (run.isNew && !progress.begun) await discardRunFolder(run.folder);
    if (!isStop(error, stop)) throw error;
    return { ended: 'stopped', folder: run.isNew ? null : run.folder.path };
  } finally {
    await run.lock.release();
  }
}

/** Whether the signal is what ended a wait. */
function isStop(error: unknown, stop: AbortSignal): boolean {
  return stop.aborted && error === stop.reason;
}

interface Begun {
  readonly notes: readonly string[];
  /** Set when training begins. */
  readonly progress: { begun: boolean };
}

async function trainReported(
  run: OpenedRun,
  dataset: Dataset,
  { notes, progress, stream, stop }: StudentOptions & Begun,
): Promise<StudentEnd['ended']> {
  const { config } = run;
  const reporting = await openReporting(config, run, stream);
  reporting.log.info({ config }, 'config');
  for (const message of [...notes, ...studentConfigNotes(config)]) reporting.log.warn(message);
  const thread = startComputing();
  const compute = thread.call;
  let lingerMs = 0;
  try {
    const ended = await train({ dataset, run, reporting, compute, stop }, progress);
    if (ended === 'finished') lingerMs = config.metrics.lingerMs;
    return ended;
  } catch (error) {
    // What went wrong is to be seen by whoever scrapes, too.
    if (isNonFinite(error)) lingerMs = config.metrics.lingerMs;
    throw error;
  } finally {
    await thread.terminate();
    await reporting.close(lingerMs, stop);
  }
}

interface Opened {
  readonly dataset: Dataset;
  readonly run: OpenedRun;
  readonly reporting: Reporting;
  readonly compute: ComputeClient;
  readonly stop: AbortSignal;
}

async function train(opened: Opened, progress: { begun: boolean }): Promise<StudentEnd['ended']> {
  const { dataset, run, reporting, compute, stop } = opened;
  const { config } = run;
  const firstStep = run.manifest?.step ?? 0;
  let checkpointing: Checkpointing | null = null;
  reporting.metrics.recordRun({ id: run.id, steps: config.train.steps, stepsDone: firstStep });
  const stepsDone = () => checkpointing?.step ?? firstStep;
  const teacher = await connectTeacher(config, { dataset, run, reporting, stepsDone, stop });
  const feed = openFeed(config, teacher, firstStep);
  try {
    checkpointing = new Checkpointing({ config, run, dataset, teacher, compute, reporting });
    const leftOut = leaveOutTerms(config, { teacher, log: reporting.log });
    // A checkpoint has the student's weights: what they once came from may be gone.
    const isStart = run.manifest === null;
    const startWeights = isStart ? await startWeightsOf(opened) : null;
    const setup = setUp(compute, { run, dataset, teacher, startWeights });
    const ready = await unlessAborted(setup, stop);
    progress.begun = true;
    reporting.log.info({ ...ready, firstStep, steps: config.train.steps }, 'training');
    tellLabels(config, { dataset, teacher, log: reporting.log });
    reporting.events.append({
      kind: 'start',
      step: firstStep,
      teacher: teacher?.info ?? null,
      engine: ready.engine,
      environment: await environmentOf(ready.engine),
      classNames: dataset.classNames,
      seed: config.seed,
      labels: labelSource(config),
      leftOut,
      startWeights: startWeights && { file: startWeights.file, sha256: startWeights.sha256 },
      metrics: reporting.metricsUrl,
    });
    const ended = await runSteps(opened, { feed: feed.feed, teacher, checkpointing });
    if (ended === 'finished') await finish(opened, checkpointing);
    return ended;
  } finally {
    await feed.close();
    await teacher?.close();
  }
}

interface LoopParts {
  readonly feed: Feed;
  readonly teacher: Teacher | null;
  readonly checkpointing: Checkpointing;
}

/** From the first step that is left to the last, or to a stop; the state is saved either way. */
async function runSteps(
  opened: Opened,
  { feed, teacher, checkpointing }: LoopParts,
): Promise<StudentEnd['ended']> {
  const { run, reporting, compute, stop } = opened;
  const { train } = run.config;
  const evaluateNow = () => evaluate(opened);
  try {
    await checkpointing.catchUp(evaluateNow);
    const ended = await runLoop({
      firstStep: checkpointing.step,
      steps: train.steps,
      accumulateSteps: train.accumulateSteps,
      feed,
      teacher,
      compute,
      stop,
      afterStep: async (report) => {
        checkpointing.stepDone();
        reporting.throwMissed();
        reporting.step(report);
        await checkpointing.afterStep(evaluateNow);
      },
    });
    await checkpointing.save();
    return ended;
  } catch (error) {
    if (isStop(error, stop)) return 'stopped';
    await saveBeforeEnd(error, checkpointing, reporting);
    throw error;
  }
}

function isNonFinite(error: unknown): boolean {
  return error instanceof NonFiniteLossError || error instanceof NonFiniteReplyError;
}

/** Saves the state as of the last whole step: what failed changed nothing. Never rejects. */
async function saveBeforeEnd(
  error: unknown,
  checkpointing: Checkpointing,
  { metrics, log }: Reporting,
): Promise<void> {
  if (isNonFinite(error)) metrics.nonfinite.inc();
  if (error instanceof NonFiniteLossError) metrics.recordNonFinite(error.terms);
  const { step } = checkpointing;
  // Before the first step there is nothing that the seed doesn't give again.
  if (step === 0) return;
  try {
    await checkpointing.save();
    log.error({ step }, 'stopped; state saved');
  } catch (failure) {
    log.error({ step, error: (failure as Error).message }, 'stopped; state not saved');
  }
}

interface Setup extends Pick<Opened, 'run' | 'dataset'> {
  readonly teacher: Teacher | null;
  readonly startWeights: StartWeights | null;
}

/** A stop ends a download, too. */
async function startWeightsOf({ run, reporting, stop }: Opened): Promise<StartWeights | null> {
  const { log } = reporting;
  const notes = { info: (text: string) => log.info(text), warn: (text: string) => log.warn(text) };
  stop.addEventListener('abort', killChildren, { once: true });
  try {
    return await unlessAborted(readStartWeights(run.config, notes), stop);
  } finally {
    stop.removeEventListener('abort', killChildren);
  }
}

async function setUp(
  compute: ComputeClient,
  { run, dataset, teacher, startWeights }: Setup,
): Promise<ComputeReady> {
  return compute.setup({
    config: run.config,
    classNames: dataset.classNames,
    teacher:
      teacher === null
        ? null
        : {
            featureChannels: teacher.info.featureChannels,
            alignCorners: teacher.info.alignCorners,
            classifier: teacher.classifier,
          },
    state: run.takeState(),
    startWeights,
  });
}

function evaluate({ run: { config }, dataset, compute, stop }: Opened) {
  return evaluateStudent(compute, {
    dataset: validationConfig(config),
    classes: dataset.classNames.length,
    workers: config.data.workers,
    pictures: config.evaluate.pictures,
    stop,
  });
}

async function finish(
  { run, dataset, reporting }: Opened,
  checkpointing: Checkpointing,
): Promise<void> {
  const { seed, teacher, train } = run.config;
  // The last step always is evaluated.
  const { scores, shown } = checkpointing.evaluationAt(train.steps)!;
  const { miou, pixelAccuracy, iou } = scores;
  const result = {
    miou,
    pixelAccuracy,
    iou: Object.fromEntries(dataset.classNames.map((name, k) => [name, iou[k]])),
  };
  const role = teacher.addresses.length > 0 ? 'cirkd' : 'baseline';
  await writeSummary(run.folder, { [role]: result, steps: train.steps, seed });
  reporting.events.append({ kind: 'end', step: train.steps });
  const { html } = await writeRunReport(run.folder, { dataset, shown });
  reporting.log.info({ html }, 'report');
}
