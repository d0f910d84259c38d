/** What a run tells while it goes: progress, log, events, metrics. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StudentConfig } from '../../src/config/student.js';
import { TERMS } from '../../src/contract/terms.js';
import type { SegmentationScores } from '../../src/evaluate/confusion.js';
import { type EventLog, openEventLog, type RunEvent } from '../../src/run/events.js';
import { createLogger, type Logger } from '../../src/telemetry/log.js';
import { type MetricsServer, startMetricsServer } from '../../src/telemetry/metricsServer.js';
import {
  createProgress,
  type Progress,
  type ProgressStream,
} from '../../src/telemetry/progress.js';
import { createStudentMetrics, type StudentMetrics } from '../../src/telemetry/studentMetrics.js';
import type { StepReport } from '../../src/train/loop.js';
import type { OpenedRun } from './openRun.js';

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
  /** One finished step, everywhere. */
  step(report: StepReport): void;
  evaluation(step: number, scores: SegmentationScores): void;
  /**
   * An event after so many updates as are done, for callbacks that must not throw: where it can't be
   * written, throwMissed() does.
   */
  tell(event: ToldEvent): void;
  throwMissed(): void;
  /**
   * Serves /metrics for so long after the end of a run, less where the signal comes, then closes
   * everything. Never rejects.
   */
  close(lingerMs: number, stop: AbortSignal): Promise<void>;
}

/** Throws ListenError when the metrics port is taken. */
export async function openReporting(
  config: StudentConfig,
  { id, folder: { eventsFile }, manifest }: Pick<OpenedRun, 'id' | 'folder' | 'manifest'>,
  stream: ProgressStream,
): Promise<Reporting> {
  const metrics = createStudentMetrics();
  const server = await startMetrics(config, metrics);
  const progress = createProgress({
    stream,
    totalSteps: config.train.steps,
    everySteps: config.run.logEverySteps,
  });
  const log = createLogger({
    service: 'student',
    ...config.log,
    sink: progress,
    fields: { run: id },
  });
  if (server !== null) log.info({ url: server.url }, 'metrics');
  const events = openEventLog(eventsFile);
  let stepsDone = manifest?.step ?? 0;
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
    step(report) {
      stepsDone = report.step + 1;
      recordStep(report, { metrics, progress, events });
    },
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
        log.error({ file: eventsFile, error: (error as Error).message }, 'events not flushed');
      }
      if (server === null) return;
      // Rejects when the signal comes: the wait is over either way.
      if (lingerMs > 0) await sleep(lingerMs, null, { signal: stop }).catch(() => {});
      await server.close();
    },
  };
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
  to: { metrics: StudentMetrics; progress: Progress; events: EventLog },
): void {
  const { terms, learningRate, images, seconds, samples, bankFill } = report;
  const done = report.step + 1;
  const { data, teacher, compute } = seconds;
  const shown = Object.fromEntries(
    TERMS.flatMap((term) => (terms[term] === undefined ? [] : [[term, terms[term]]])),
  );
  to.metrics.recordStep({
    images,
    seconds: seconds.total,
    phaseSeconds: { data, teacher, compute },
    losses: shown,
    learningRate,
    bankFill,
  });
  to.events.append({ kind: 'step', step: done, terms: shown, learningRate, seconds, samples });
  to.progress.update({
    step: done,
    images,
    seconds: seconds.total,
    teacherSeconds: teacher,
    losses: shown,
  });
}
