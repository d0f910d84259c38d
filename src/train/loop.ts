/**
 * The training loop: feed → compute → report, one step at a time. It depends on the Teacher and
 * Compute interfaces, never on a socket or a thread.
 */
import { RankLostError } from '../collectives/collective.js';
import { NonFiniteReplyError, type Teacher } from '../contract/teacher.js';
import { unlessAborted } from '../threads/unlessAborted.js';
import { type FedBatch, type Feed, teacherImages } from './feed.js';
import {
  type GroupFigures,
  type MicroBatch,
  NonFiniteLossError,
  type ReplyReplacement,
  type StepOutcome,
  type TermValues,
} from './outcome.js';

/** Holds the state that a step changes. */
export interface Compute {
  /**
   * One atomic update from one or more micro-batches. Takes ownership of the reply buffers (they
   * move to the computing thread). After 'nonfinite_reply' it keeps the input for retry().
   * @param waitedSeconds time that this input was waited for
   */
  step(
    step: number,
    microBatches: readonly MicroBatch[],
    waitedSeconds: number,
  ): Promise<StepOutcome>;
  /**
   * Repeats the last step with some replies replaced.
   * @param waitedSeconds time that the replacements were waited for
   */
  retry(
    step: number,
    replacements: readonly ReplyReplacement[],
    waitedSeconds: number,
  ): Promise<StepOutcome>;
}

export interface StepReport {
  readonly step: number;
  readonly terms: TermValues;
  readonly learningRate: number;
  /** Share of filled rows, 0..1, of each memory bank after the step. */
  readonly bankFill: Readonly<Record<string, number>>;
  readonly images: number;
  /** Names of the crops, in order: the record of what was trained on. */
  readonly samples: readonly string[];
  /** null without other ranks. */
  readonly group: GroupFigures | null;
  readonly seconds: {
    readonly total: number;
    /** Time waited for the loader. */
    readonly data: number;
    /** Time waited for teachers, repeated requests included. */
    readonly teacher: number;
    readonly compute: number;
    /** Time in collectives, waits for other ranks included; absent without other ranks. */
    readonly collectives?: number;
  };
}

export interface LoopOptions {
  readonly firstStep: number;
  readonly steps: number;
  readonly accumulateSteps: number;
  readonly feed: Feed;
  readonly teacher: Teacher | null;
  readonly compute: Compute;
  /**
   * Stops the run between steps, or while it waits for data, for a teacher or in afterStep. With RankLostError as the
   * reason it ends it with that error.
   */
  readonly stop: AbortSignal;
  /** Awaited before the first step, on the same terms as afterStep. */
  readonly beforeFirst?: () => Promise<void>;
  /**
   * Awaited before the next step begins: evaluation and checkpoints happen here. If the signal
   * interrupts it, it rejects with the signal's reason.
   */
  readonly afterStep: (report: StepReport) => Promise<void> | void;
}

/** Another rank of the group stops, and this one has agreed to. */
export class StopAgreedError extends Error {
  override readonly name = 'StopAgreedError';

  constructor() {
    super('another rank is to stop');
  }
}

export interface LoopEnd {
  readonly ended: 'finished' | 'stopped';
  /** Whether the ranks of a group have agreed on a stop, rather than this one having been asked. */
  readonly haveAgreed: boolean;
}

/**
 * Runs until the last step or until a stop is requested; returns which. Throws NonFiniteReplyError if a
 * teacher's reply and its replacement aren't finite, NonFiniteLossError if the step itself isn't.
 */
export async function runLoop(options: LoopOptions): Promise<LoopEnd> {
  const { stop } = options;
  try {
    await options.beforeFirst?.();
    for (let step = options.firstStep; step < options.steps; step += 1) {
      const fed = await nextInput(options);
      const report = await runStep(options, step, fed);
      if (report === null) return { ended: 'stopped', haveAgreed: true };
      await options.afterStep(report);
    }
  } catch (error) {
    if (error instanceof RankLostError) throw error;
    if (stop.aborted && error === stop.reason) return { ended: 'stopped', haveAgreed: false };
    if (error instanceof StopAgreedError) return { ended: 'stopped', haveAgreed: true };
    throw error;
  }
  return { ended: 'finished', haveAgreed: false };
}

/** The micro-batches of a step. Rejects with the signal's reason if the run is stopped first. */
async function nextInput({ feed, accumulateSteps, stop }: LoopOptions): Promise<FedBatch[]> {
  const fed: FedBatch[] = [];
  while (fed.length < accumulateSteps) {
    stop.throwIfAborted();
    fed.push(await unlessAborted(feed.next(), stop));
  }
  return fed;
}

/** null: another rank is to stop. */
async function runStep(
  options: LoopOptions,
  step: number,
  fed: FedBatch[],
): Promise<StepReport | null> {
  const data = sum(fed.map((part) => part.dataSeconds));
  const repliesSeconds = sum(fed.map((part) => part.teacherSeconds));
  const beginStep = performance.now();
  const { outcome, askedAgainSeconds } = await computeStep(
    options,
    step,
    fed,
    data + repliesSeconds,
  );
  if (outcome.kind === 'stopped') return null;
  const inStep = (performance.now() - beginStep) / 1000 - askedAgainSeconds;
  const { group = null } = outcome;
  const collectives = group?.use.seconds ?? 0;
  const compute = inStep - collectives;
  const teacher = repliesSeconds + askedAgainSeconds;
  return {
    step,
    terms: outcome.terms,
    learningRate: outcome.learningRate,
    bankFill: outcome.bankFill,
    images: sum(fed.map(({ batch }) => batch.crops.length)),
    samples: fed.flatMap(({ batch }) => batch.samples),
    group,
    seconds: {
      ...{ total: data + teacher + inStep, data, teacher, compute },
      ...(group === null ? {} : { collectives }),
    },
  };
}

interface ComputedStep {
  readonly outcome: Extract<StepOutcome, { kind: 'committed' | 'stopped' }>;
  /** Time waited for replacements of replies that weren't finite. */
  readonly askedAgainSeconds: number;
}

/** Requests a non-finite reply again once; if the replacement isn't finite either, the run ends. */
async function computeStep(
  options: LoopOptions,
  step: number,
  fed: FedBatch[],
  waitedSeconds: number,
): Promise<ComputedStep> {
  const { compute, teacher, stop } = options;
  let askedAgainSeconds = 0;
  let outcome = await compute.step(step, fed.map(toMicroBatch), waitedSeconds);
  if (outcome.kind === 'nonfinite_reply' && teacher !== null) {
    const begin = performance.now();
    const replacements = await askElsewhere(teacher, fed, outcome.images, stop);
    askedAgainSeconds = (performance.now() - begin) / 1000;
    outcome = await compute.retry(step, replacements, askedAgainSeconds);
  }
  if (outcome.kind === 'committed' || outcome.kind === 'stopped') {
    return { outcome, askedAgainSeconds };
  }
  if (outcome.kind === 'nonfinite_reply') {
    const names = outcome.images.map(
      ({ microBatch, crop }) => fed[microBatch]!.batch.crops[crop]!.sample,
    );
    if (names.length === 0) names.push("another rank's images");
    const of = teacher === null ? '' : ` (${teacher.info.model}, ${teacher.info.digest})`;
    throw new NonFiniteReplyError(
      `step ${step}: teacher reply not finite, asked twice, for ${names.join(', ')}${of}`,
    );
  }
  const terms = Object.entries(outcome.terms).map(([term, value]) => `${term}=${value}`);
  const gradient = outcome.gradient === null ? '' : `; gradient of ${outcome.gradient}`;
  const statistic =
    outcome.statistic === undefined ? '' : `; running statistic ${outcome.statistic}`;
  throw new NonFiniteLossError(
    `step ${step}: not finite: ${terms.join(' ')}${gradient}${statistic}`,
    outcome.terms,
  );
}

function askElsewhere(
  teacher: Teacher,
  fed: readonly FedBatch[],
  images: readonly { readonly microBatch: number; readonly crop: number }[],
  stop: AbortSignal,
): Promise<ReplyReplacement[]> {
  return Promise.all(
    images.map(async ({ microBatch, crop }) => {
      const image = teacherImages(fed[microBatch]!.batch)[crop]!;
      return { microBatch, crop, reply: await teacher.requestElsewhere(image, stop) };
    }),
  );
}

function toMicroBatch({ batch, replies }: FedBatch): MicroBatch {
  return {
    height: batch.height,
    width: batch.width,
    rgb: batch.crops.map((crop) => crop.rgb),
    labels: batch.crops.map((crop) => crop.labels),
    replies,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
