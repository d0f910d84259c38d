/**
 * The student trainer: image+label → augment → wire → teacher → wire → student net → losses ⇄ banks
 * → update → metrics, checkpoint, report.
 */
import { readFile } from 'node:fs/promises';
import type { StudentConfig } from '../../src/config/student.js';
import { studentConfigNotes } from '../../src/config/studentChecks.js';
import { openDataset } from '../../src/data/datasets.js';
import { DataError, type Dataset } from '../../src/data/types.js';
import {
  ContractMismatchError,
  NonFiniteReplyError,
  TeacherUnavailableError,
} from '../../src/distill/teacher.js';
import { readModelFile } from '../../src/models/modelFile.js';
import { discardRunFolder, writeSummary } from '../../src/run/runFolder.js';
import { ImageRefusedError } from '../../src/stream/clientErrors.js';
import type { ProgressStream } from '../../src/telemetry/progress.js';
import { runLoop } from '../../src/train/loop.js';
import { NonFiniteLossError } from '../../src/train/outcome.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { Checkpointing } from './checkpointing.js';
import { ComputeThread } from './computeThread.js';
import { connectTeacher } from './connectTeacher.js';
import { trainingConfig, validationConfig } from './datasetConfigs.js';
import { evaluateStudent } from './evaluation.js';
import { openFeed } from './openFeed.js';
import { type OpenedRun, openRun } from './openRun.js';
import { openReporting, type Reporting } from './reporting.js';
import { writeRunReport } from './runReport.js';

export interface StudentOptions {
  readonly resume: boolean;
  /** Where progress and log lines go. */
  readonly stream: ProgressStream;
  /** Aborted when the run shall stop after the present step, with its state saved. */
  readonly stop: AbortSignal;
}

/** 'stopped': by the signal, state saved. */
export type StudentEnd = { readonly ended: 'finished' | 'stopped'; readonly folder: string };

/**
 * Runs to the last step. Throws the errors that the exit codes stand for; where training had begun
 * (no teacher any more, a loss that isn't finite) the last good state is saved first. A new run
 * that is refused before it begins leaves no folder.
 */
export async function runStudent(
  config: StudentConfig,
  options: StudentOptions,
): Promise<StudentEnd> {
  const dataset = openDataset(trainingConfig(config));
  const notes: string[] = [];
  const run = await openRun(config, options.resume, (message) => notes.push(message));
  const progress = { begun: false };
  try {
    const reporting = await openReporting(config, run.folder.eventsFile, options.stream);
    for (const message of [...notes, ...studentConfigNotes(config)]) reporting.log.warn(message);
    const compute = new ComputeThread();
    try {
      return await train(config, options, { dataset, run, reporting, compute }, progress);
    } finally {
      await compute.close();
      await reporting.close(progress.begun ? config.metrics.lingerMs : 0);
    }
  } catch (error) {
    if (run.isNew && !progress.begun) await discardRunFolder(run.folder);
    throw error;
  }
}

interface Opened {
  readonly dataset: Dataset;
  readonly run: OpenedRun;
  readonly reporting: Reporting;
  readonly compute: ComputeThread;
}

async function train(
  config: StudentConfig,
  options: StudentOptions,
  { dataset, run, reporting, compute }: Opened,
  progress: { begun: boolean },
): Promise<StudentEnd> {
  const teacher = await connectTeacher(config, { dataset, run, reporting });
  const firstStep = run.checkpoint?.manifest.step ?? 0;
  const feed = openFeed(config, teacher, firstStep);
  try {
    const checkpointing = new Checkpointing({ config, run, dataset, teacher, compute, reporting });
    const ready = await compute.setup({
      config,
      classNames: dataset.classNames,
      teacher: teacher === null ? null : { featureChannels: teacher.info.featureChannels },
      state: checkpointing.savedState(),
      initialWeights: await initialWeights(config),
    });
    progress.begun = true;
    reporting.log.info({ ...ready, run: run.id, firstStep, steps: config.train.steps }, 'training');
    reporting.events.append({
      kind: 'start',
      step: firstStep,
      teacher: teacher?.info ?? null,
      engine: ready.engine,
      metrics: reporting.metricsUrl,
    });
    const ended = await runLoop({
      firstStep,
      steps: config.train.steps,
      accumulateSteps: config.train.accumulateSteps,
      feed: feed.feed,
      teacher,
      compute,
      stop: options.stop,
      onNonFiniteReply: (images) => reporting.metrics.nonfinite.inc(images),
      afterStep: async (report) => {
        reporting.step(report, await compute.bankFill());
        await checkpointing.afterStep(report.step + 1, () => evaluate(config, dataset, compute));
      },
    }).catch((error: unknown) => saveBeforeEnd(error, checkpointing, reporting));
    await checkpointing.save();
    if (ended === 'finished')
      await finish(config, { dataset, run, reporting, compute }, checkpointing);
    return { ended, folder: run.folder.path };
  } finally {
    await feed.close();
    await teacher?.close();
  }
}

/** Ends of a run that say nothing against the state that it has come to. */
const ENDS_WITH_GOOD_STATE = [
  NonFiniteLossError,
  NonFiniteReplyError,
  TeacherUnavailableError,
  ContractMismatchError,
  ImageRefusedError,
  DataError,
];

/** Saves the state as of the last good step: what failed changed nothing. */
async function saveBeforeEnd(
  error: unknown,
  checkpointing: Checkpointing,
  reporting: Reporting,
): Promise<never> {
  if (error instanceof NonFiniteLossError || error instanceof NonFiniteReplyError) {
    reporting.metrics.nonfinite.inc();
  }
  // Before the first step there is nothing that the seed doesn't give again.
  const isWorthSaving = ENDS_WITH_GOOD_STATE.some((kind) => error instanceof kind);
  if (isWorthSaving && checkpointing.step > 0) {
    await checkpointing.save();
    reporting.log.error({ step: checkpointing.step }, 'stopped; state saved');
  }
  throw error;
}

function evaluate(config: StudentConfig, dataset: Dataset, compute: ComputeThread) {
  return evaluateStudent(compute, {
    dataset: validationConfig(config),
    classes: dataset.classNames.length,
    workers: config.data.workers,
    pictures: config.evaluate.pictures,
  });
}

async function finish(
  config: StudentConfig,
  { dataset, run, reporting, compute }: Opened,
  checkpointing: Checkpointing,
): Promise<void> {
  const last = checkpointing.evaluationAt(config.train.steps);
  const { scores, shown } = last ?? (await evaluate(config, dataset, compute));
  if (last === null) reporting.evaluation(config.train.steps, scores);
  const { miou, pixelAccuracy, iou } = scores;
  const result = {
    miou,
    pixelAccuracy,
    iou: Object.fromEntries(dataset.classNames.map((name, k) => [name, iou[k]])),
  };
  const role = config.teacher.addresses.length > 0 ? 'cirkd' : 'baseline';
  await writeSummary(run.folder, {
    [role]: result,
    steps: config.train.steps,
    seed: config.seed,
  });
  reporting.events.append({ kind: 'end', step: config.train.steps });
  const { html } = await writeRunReport(run.folder, { id: run.id, dataset, scores, shown });
  reporting.log.info({ html }, 'report');
}

async function initialWeights({ student }: StudentConfig): Promise<Uint8Array | null> {
  if (student.weights === null) return null;
  try {
    const bytes = await readFile(student.weights);
    readModelFile(bytes);
    return bytes;
  } catch (error) {
    throw new CheckpointError(`student.weights: ${student.weights}: ${(error as Error).message}`);
  }
}
