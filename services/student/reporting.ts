/** A run's output while it trains: progress, log, events, metrics. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StudentConfig } from '../../src/config/student.js';
import { TERMS } from '../../src/contract/terms.js';
import type { SegmentationScores } from '../../src/evaluate/confusion.js';
import { type EventLog, openEventLog, type RunEvent } from '../../src/run/events.js';
import type { GroupPlace } from '../../src/telemetry/groupMetrics.js';
import { createLogger, type Logger } from '../../src/telemetry/log.js';
import { type MetricsServer, startMetricsServer } from '../../src/telemetry/metricsServer.js';
import {
  createProgress,
  type Progress,
  type ProgressStream,
} from '../../src/telemetry/progress.js';
import { createStudentMetrics, type StudentMetrics } from '../../src/telemetry/studentMetrics.js';
import type { StepReport } from '../../src/train/loop.js';
import { isInGroup } from './group/membership.js';
import type { OpenedRun } from './openRun.js';
import { usesTeacher } from './teacher/neededOutputs.js';

/** An event without its step. */
type ToldEvent = Pick<RunEvent, 'kind'> & { readonly [field: string]: unknown };

export interface Reporting {
  readonly log: Logger;
  readonly metrics: StudentMetrics;
  readonly events: EventLog;
  /** null: not served. */
  readonly metricsUrl: string | null;
  /** Updates done, those before a resume included. */
  readonly stepsDone: number;
  /** Counts a crop of a step (from 0) whose answer came from the store of answers. */
  answeredFromStore(step: number): void;
  /** Reports a finished step to progress, events and metrics. */
  step(report: StepReport): void;
  /** Images of data.val that all ranks together have evaluated by now. */
  evaluated(images: number, of: number): void;
  evaluation(step: number, scores: SegmentationScores): void;
  /**
   * Writes an event at the current step. For callbacks that must not throw: if it can't be written,
   * throwMissed() throws later.
   */
  tell(event: ToldEvent): void;
  throwMissed(): void;
  /**
   * Serves /metrics for `lingerMs` after the end of a run, or until the signal, then closes
   * everything. Never rejects.
   */
  close(lingerMs: number, stop: AbortSignal): Promise<void>;
}

/** The run that is reported on. */
export interface ReportedRun {
  readonly id: string;
  /** null: this rank writes no events, and shows no progress. */
  readonly folder: Pick<OpenedRun['folder'], 'eventsFile'> | null;
  /** Updates done before. */
  readonly stepsDone: number;
}

/** Throws ListenError when the metrics port is taken. */
export async function openReporting(
  config: StudentConfig,
  { id, folder, stepsDone: doneBefore }: ReportedRun,
  stream: ProgressStream,
): Promise<Reporting> {
  const metrics = createStudentMetrics();
  const rank = rankOf(config);
  metrics.registry.setDefaultLabels(rank);
  if (isInGroup(config)) metrics.joinGroup(placeOf(config));
  const server = await startMetrics(config, metrics);
  const progress = createProgress({
    stream,
    totalSteps: config.train.steps,
    everySteps: folder === null ? Number.MAX_SAFE_INTEGER : config.run.logEverySteps,
  });
  const fields = { run: id, ...rank };
  const log = createLogger({ service: 'student', ...config.log, sink: progress, fields });
  if (server !== null) log.info({ url: server.url }, 'metrics');
  const events = folder === null ? NO_EVENTS : openEventLog(folder.eventsFile);
  let stepsDone = doneBefore;
  const stored = hasStore(config) ? new StoredAnswers() : null;
  metrics.recordRun({ id, steps: config.train.steps, stepsDone });
  return {
    log,
    metrics,
    events,
    metricsUrl: server?.url ?? null,
    get stepsDone() {
      return stepsDone;
    },
    ...eventTeller(events, () => stepsDone),
    answeredFromStore: (step) => stored?.count(step),
    step(report) {
      stepsDone = report.step + 1;
      recordStep(report, { metrics, progress, events, stored });
    },
    evaluated: (images, of) => metrics.recordEvaluated(images / of),
    evaluation(step, { miou, pixelAccuracy, iou, union }) {
      metrics.recordEvaluation({ miou, pixelAccuracy });
      const classes = Array.from(iou, (value, k) => (union[k] === 0 ? null : value));
      events.append({ kind: 'evaluation', step, miou, pixelAccuracy, iou: classes });
      log.info({ step, miou, pixelAccuracy }, 'evaluation');
    },
    async close(lingerMs, stop) {
      progress.done();
      try {
        events.close();
      } catch (error) {
        log.error(
          { file: folder?.eventsFile, error: (error as Error).message },
          'events not flushed',
        );
      }
      if (server === null) return;
      // It rejects on the signal, which ends the wait just as well.
      if (lingerMs > 0) await sleep(lingerMs, null, { signal: stop }).catch(() => {});
      await server.close();
    },
  };
}

/** The label of metrics and log lines in a group. */
function rankOf(config: StudentConfig): Readonly<Record<string, string>> {
  return isInGroup(config) ? { rank: String(config.distributed.index) } : {};
}

function placeOf({ distributed: { index, workers } }: StudentConfig): GroupPlace {
  return { rank: index ?? 0, size: workers.length };
}

const NO_EVENTS: EventLog = { append() {}, sync() {}, close() {} };

function hasStore(config: StudentConfig): boolean {
  return usesTeacher(config) && config.teacher.store.directory !== null;
}

/** Crops of steps that aren't done yet whose answers came from the store. */
class StoredAnswers {
  readonly #counts = new Map<number, number>();

  count(step: number): void {
    this.#counts.set(step, (this.#counts.get(step) ?? 0) + 1);
  }

  take(step: number): number {
    const count = this.#counts.get(step) ?? 0;
    this.#counts.delete(step);
    return count;
  }
}

function eventTeller(
  events: EventLog,
  stepsDone: () => number,
): Pick<Reporting, 'tell' | 'throwMissed'> {
  let missed: { readonly error: unknown } | null = null;
  return {
    tell({ kind, ...fields }) {
      try {
        events.append({ kind, step: stepsDone(), ...fields });
      } catch (error) {
        missed ??= { error };
      }
    },
    throwMissed() {
      if (missed !== null) throw missed.error;
    },
  };
}

function startMetrics(
  { metrics: { host, port } }: StudentConfig,
  { registry }: StudentMetrics,
): Promise<MetricsServer> | null {
  return port === null ? null : startMetricsServer({ registry, host, port });
}

function recordStep(
  report: StepReport,
  to: {
    metrics: StudentMetrics;
    progress: Progress;
    events: EventLog;
    stored: StoredAnswers | null;
  },
): void {
  const { terms, learningRate, images, seconds, samples, bankFill, group } = report;
  const done = report.step + 1;
  const { total, ...phaseSeconds } = seconds;
  const figures =
    group === null ? null : { collectiveBytes: group.use.bytes, lagSeconds: group.lagSeconds };
  const shown = Object.fromEntries(
    TERMS.flatMap((term) => (terms[term] === undefined ? [] : [[term, terms[term]]])),
  );
  to.metrics.recordStep({
    images,
    seconds: total,
    phaseSeconds,
    losses: shown,
    learningRate,
    bankFill,
    ...(figures === null ? {} : { group: figures }),
  });
  const more = to.stored === null ? {} : { stored: to.stored.take(report.step) };
  to.events.append({
    ...{ kind: 'step', step: done, terms: shown },
    ...{ learningRate, seconds, samples, ...more },
    ...figures,
  });
  to.progress.update({
    step: done,
    // Those of all ranks: the pace of the run.
    images: samples.length,
    seconds: total,
    teacherSeconds: seconds.teacher,
    ...(seconds.collectives === undefined ? {} : { collectiveSeconds: seconds.collectives }),
    losses: shown,
  });
}
