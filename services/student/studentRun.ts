/** One run of the student, from its opened folder to its report. */
import { studentConfigNotes } from '../../src/config/studentChecks.js';
import { NonFiniteReplyError, type Teacher } from '../../src/contract/teacher.js';
import type { Dataset } from '../../src/data/types.js';
import { stepRecords, storeUse } from '../../src/report/stepRecords.js';
import { readEvents } from '../../src/run/events.js';
import { writeSummary } from '../../src/run/runFolder.js';
import type { ProgressStream } from '../../src/telemetry/progress.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import type { Feed } from '../../src/train/feed.js';
import { runLoop } from '../../src/train/loop.js';
import { NonFiniteLossError } from '../../src/train/outcome.js';
import { Closers } from '../program/closers.js';
import { environmentOf } from '../program/environment.js';
import { Checkpointing } from './checkpointing.js';
import {
  type ComputeClient,
  type ComputeReady,
  type ComputeSetup,
  startComputing,
} from './computeProtocol.js';
import { DataWarnings } from './dataWarnings.js';
import { evaluateStudent, type StudentEvaluation, writeRunReport } from './evaluation.js';
import { type EvaluationPlan, evaluationPlan, picturesAfter } from './evaluationPlan.js';
import { followGroup, setUpTogether } from './group/groupStart.js';
import { endComputing } from './group/membership.js';
import type { OpenedRun } from './openRun.js';
import { openReporting, type ReportedRun, type Reporting } from './reporting.js';
import { joinOthers, setupOf, startWeightsOf } from './runSetup.js';
import type { StartWeights } from './startWeights.js';
import { connectTeacher } from './teacher/teacher.js';
import { type LeftOutTerms, labelSource, leaveOutTerms, logLabels } from './teacher/teacherUse.js';
import { loaderThreads, openFeed, type RunData, validationConfig } from './trainingData.js';

export interface RunOptions {
  readonly data: RunData;
  /** Notes to write as soon as the log is open. */
  readonly notes: readonly string[];
  /** Where progress and log lines go. */
  readonly stream: ProgressStream;
  readonly stop: AbortSignal;
}

type Ended = 'finished' | 'stopped';

/** What is open while a run trains. */
interface Parts {
  readonly opened: OpenedRun;
  readonly dataset: Dataset;
  readonly validation: Dataset;
  readonly plan: EvaluationPlan;
  /** Those in the group by now. */
  readonly ranks: number;
  readonly reporting: Reporting;
  readonly compute: ComputeClient;
  readonly teacher: Teacher | null;
  readonly feed: Feed;
  readonly checkpointing: Checkpointing;
  readonly warnings: DataWarnings;
  readonly stop: AbortSignal;
  /** See followGroup(); without other ranks the same as stop. */
  readonly over: AbortSignal;
  /** Closes all parts except the reporting, in reverse order of opening. */
  readonly closers: Closers;
  /** For the start event. */
  readonly start: { readonly ready: ComputeReady } & Pick<Prepared, 'leftOut' | 'startWeights'>;
}

/** What setup() needs, and what is opened on the way to it. */
interface Prepared extends Pick<Parts, 'teacher' | 'feed' | 'checkpointing' | 'warnings'> {
  readonly setup: ComputeSetup;
  readonly leftOut: LeftOutTerms | null;
  readonly startWeights: Pick<StartWeights, 'file' | 'sha256'> | null;
}

async function prepareRun({
  opened,
  dataset,
  plan,
  reporting,
  compute,
  over,
  closers,
}: Pick<
  Parts,
  'opened' | 'dataset' | 'plan' | 'reporting' | 'compute' | 'over' | 'closers'
>): Promise<Prepared> {
  const { config } = opened;
  const { log } = reporting;
  const teacher = await connectTeacher(config, { dataset, run: opened, reporting, stop: over });
  closers.add(async () => teacher?.close());
  const warnings = new DataWarnings(log);
  const { feed, close } = openFeed(config, teacher, reporting.stepsDone, (batch, isLast) =>
    warnings.batch(batch, isLast),
  );
  closers.add(close);
  const run = { config, run: opened, plan, dataset, teacher, compute, reporting };
  const checkpointing = new Checkpointing(run);
  const leftOut = leaveOutTerms(config, { teacher, log });
  // A checkpoint has the student's weights, and the file that they started from may be gone.
  const isStart = opened.manifest === null;
  const startWeights = isStart ? await startWeightsOf(opened, log, over) : null;
  return {
    ...{ teacher, feed, checkpointing, warnings, leftOut },
    setup: setupOf(opened, { dataset, teacher, startWeights }),
    startWeights: startWeights && { file: startWeights.file, sha256: startWeights.sha256 },
  };
}

/** A run that has begun: its teacher is connected and its network built. */
export class StudentRun {
  readonly #parts: Parts;
  /** How long /metrics is served after the end. */
  #lingerMs = 0;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Opens everything that a run needs. If a part can't be opened, those opened before are closed again,
   * and nothing was trained. Rejects with the signal's reason if that ends a wait.
   */
  static async begin(opened: OpenedRun, options: RunOptions): Promise<StudentRun> {
    const { data, notes, stream, stop } = options;
    const { train: dataset, val: validation } = data;
    const { config } = opened;
    const reporting = await openReporting(config, reported(opened), stream);
    const { log } = reporting;
    const closers = new Closers();
    try {
      log.info({ config }, 'config');
      for (const message of [...notes, ...studentConfigNotes(config)]) log.warn(message);
      const thread = startComputing();
      closers.add(() => endComputing(thread, config));
      const compute = thread.call;
      const plan = evaluationPlan(config, opened);
      const joining = joinOthers(compute, opened, { data, plan, log, stop });
      const { ranks, news } = await unlessAborted(joining, stop);
      closers.add(async () => news?.close());
      const over = followGroup(news, stop, config, reporting);
      const base = { opened, dataset, plan, reporting, compute, over, closers };
      const { ready, prepared } = await setUpTogether(compute, news, over, () => prepareRun(base));
      const { setup: _, leftOut, startWeights, ...parts } = prepared;
      const start = { ready, leftOut, startWeights };
      return new StudentRun({ ...base, ...parts, validation, ranks, stop, start });
    } catch (error) {
      await closers.close().finally(() => reporting.close(0, stop));
      throw error;
    }
  }

  /**
   * Trains from the next step to the last and its report, or to a stop. The state as of the last
   * complete step is saved in any case.
   */
  async train(): Promise<Ended> {
    const { lingerMs } = this.#parts.opened.config.metrics;
    try {
      await this.#tellStart();
      const ended = await this.#runSteps();
      if (ended === 'finished') {
        await this.#finish();
        this.#lingerMs = lingerMs;
      }
      // Only now: ranks that wait for a report that never comes start again, and complete it.
      await this.#parts.compute.leave();
      return ended;
    } catch (error) {
      // A scraper should see the failure, too.
      if (isNonFinite(error)) this.#lingerMs = lingerMs;
      throw error;
    }
  }

  /** Closes the run; if its end is worth scraping, serves /metrics for a while first. */
  async close(): Promise<void> {
    const { closers, reporting, stop } = this.#parts;
    await closers.close().finally(() => reporting.close(this.#lingerMs, stop));
  }

  async #tellStart(): Promise<void> {
    const { opened, dataset, reporting, teacher, start } = this.#parts;
    const { config } = opened;
    const { log, events, stepsDone } = reporting;
    const { ready, leftOut, startWeights } = start;
    log.info({ ...ready, firstStep: stepsDone, steps: config.train.steps }, 'training');
    logLabels(config, { dataset, teacher, log });
    events.append({
      kind: 'start',
      step: stepsDone,
      teacher: teacher?.info ?? null,
      engine: ready.engine,
      environment: await environmentOf(ready.engine),
      classNames: dataset.classNames,
      seed: config.seed,
      labels: labelSource(config),
      leftOut,
      startWeights,
      metrics: reporting.metricsUrl,
    });
  }

  async #runSteps(): Promise<Ended> {
    const { opened, feed, teacher, compute, checkpointing, reporting, over } = this.#parts;
    const { steps, accumulateSteps } = opened.config.train;
    const firstStep = checkpointing.step;
    const evaluate = () => this.#evaluate();
    try {
      const { ended, haveAgreed } = await runLoop({
        ...{ firstStep, steps, accumulateSteps, feed, teacher, compute, stop: over },
        beforeFirst: () => checkpointing.catchUp(evaluate),
        afterStep: async (report) => {
          checkpointing.stepDone();
          reporting.throwMissed();
          reporting.step(report);
          await checkpointing.afterStep(evaluate);
        },
      });
      await checkpointing.save();
      const state = await compute.endTraining(haveAgreed);
      if (state !== null) reporting.log.info({ state }, 'training has ended on all ranks');
      return ended;
    } catch (error) {
      await this.#saveBeforeEnd(error);
      throw error;
    }
  }

  #evaluate(): Promise<StudentEvaluation> {
    const { opened, validation, compute, plan, ranks, checkpointing, ...parts } = this.#parts;
    const { config } = opened;
    const { over, warnings, reporting } = parts;
    return evaluateStudent(compute, {
      config: validationConfig(config),
      dataset: validation,
      place: { rank: 0, ranks },
      workers: loaderThreads(config.data.workers, config.distributed.perMachine),
      pictures: picturesAfter(plan, checkpointing.step),
      ...{ stop: over, warnings },
      onProgress: (images) => reporting.evaluated(images, validation.samples.length),
    });
  }

  /** Saves the state as of the last complete step: the failed one changed nothing. Never rejects. */
  async #saveBeforeEnd(error: unknown): Promise<void> {
    const { checkpointing, reporting } = this.#parts;
    const { metrics, log } = reporting;
    if (isNonFinite(error)) metrics.nonfinite.inc();
    if (error instanceof NonFiniteLossError) metrics.recordNonFinite(error.terms);
    const { step } = checkpointing;
    // Before the first step the seed reproduces the whole state.
    if (step === 0) return;
    try {
      await checkpointing.save();
      log.error({ step }, 'stopped; state saved');
    } catch (failure) {
      log.error({ step, error: (failure as Error).message }, 'stopped; state not saved');
    }
  }

  async #finish(): Promise<void> {
    const { opened, dataset, reporting, checkpointing, teacher } = this.#parts;
    const { seed, train } = opened.config;
    // The last step is always evaluated.
    const { scores, shown } = checkpointing.evaluationAt(train.steps)!;
    const { miou, pixelAccuracy, iou } = scores;
    const result = {
      miou,
      pixelAccuracy,
      iou: Object.fromEntries(dataset.classNames.map((name, k) => [name, iou[k]])),
    };
    const role = teacher === null ? 'baseline' : 'cirkd';
    const store = storeUse(stepRecords(await readEvents(opened.folder.eventsFile)));
    const more = store === null ? {} : { answersFromStore: store };
    await writeSummary(opened.folder, { [role]: result, steps: train.steps, seed, ...more });
    reporting.events.append({ kind: 'end', step: train.steps });
    const { html } = await writeRunReport(opened.folder, { dataset, shown });
    reporting.log.info({ html }, 'report');
  }
}

function reported({ id, folder, manifest }: OpenedRun): ReportedRun {
  return { id, folder, stepsDone: manifest?.step ?? 0 };
}

function isNonFinite(error: unknown): boolean {
  return error instanceof NonFiniteLossError || error instanceof NonFiniteReplyError;
}
