/** The metrics of a student trainer. */
import type { Registry } from 'prom-client';
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Term } from '../contract/terms.js';
import { type AnswerMetrics, answerMetrics } from './answerMetrics.js';
import { certificateExpiry } from './certificateExpiry.js';
import { type GroupPlace, type GroupStepFigures, groupRecorder } from './groupMetrics.js';
import {
  type Bank,
  MEMORY_METRIC_NAMES,
  STUDENT_METRIC_NAMES as NAMES,
  PHASES,
  type PhaseSeconds,
  STUDENT_STORE_METRIC_NAMES,
} from './metricNames.js';
import { createRegistry, SECONDS_BUCKETS } from './registry.js';
import { teacherStates } from './teacherStates.js';

/** One finished step. */
export interface StepFigures {
  /** Number of crops in all micro-batches together. */
  readonly images: number;
  readonly seconds: number;
  readonly phaseSeconds: PhaseSeconds;
  /** Unweighted terms and the weighted total; terms that the run doesn't have are missing. */
  readonly losses: Readonly<Partial<Record<Term, number>>>;
  readonly learningRate: number;
  /** Rows filled over rows in all, 0..1. */
  readonly bankFill?: Readonly<Partial<Record<Bank, number>>>;
  /** Absent without other ranks. */
  readonly group?: GroupStepFigures;
}

export interface StudentMetrics {
  readonly registry: Registry;
  readonly receivedBytes: Counter;
  readonly inflightBytes: Gauge;
  /** reason: timeout, disconnected, draining, nonfinite, ... */
  readonly requeued: Counter<'reason'>;
  readonly unmatched: Counter;
  readonly nonfinite: Counter;
  readonly store: AnswerMetrics;
  /** Sets the expiry of the certificate in use; not called by a service without one. */
  readonly setCertificateExpiry: (expires: Date) => void;
  /** Records which run this is, its number of steps and how many are done; call once. */
  recordRun(run: { readonly id: string; readonly steps: number; readonly stepsDone: number }): void;
  /** Call it before the first step of a process that has other ranks. */
  joinGroup(place: GroupPlace): void;
  /** @param seconds by rank: for how long another one has waited for it by now; 0: nobody does */
  recordAwaited(seconds: readonly number[]): void;
  recordStep(step: StepFigures): void;
  /** Records the terms of a step that was not made because one of them isn't finite. */
  recordNonFinite(losses: Readonly<Partial<Record<Term, number>>>): void;
  /** Records a teacher's state; 'closed' removes the teacher. */
  recordTeacher(address: string, state: string): void;
  /** Both 0..1. */
  recordEvaluation(result: { readonly miou: number; readonly pixelAccuracy: number }): void;
  /** @param ratio of the images that the running evaluation has done, on all ranks together; 0..1 */
  recordEvaluated(ratio: number): void;
}

export function createStudentMetrics(): StudentMetrics {
  const registry = createRegistry();
  const registers = [registry];
  return {
    registry,
    receivedBytes: new Counter({ ...NAMES.receivedBytes, registers }),
    inflightBytes: new Gauge({ ...NAMES.inflightBytes, registers }),
    requeued: new Counter({ ...NAMES.requeued, labelNames: ['reason'], registers }),
    unmatched: new Counter({ ...NAMES.unmatched, registers }),
    nonfinite: new Counter({ ...NAMES.nonfinite, registers }),
    store: answerMetrics(STUDENT_STORE_METRIC_NAMES, ['disk'], registers),
    setCertificateExpiry: certificateExpiry(registers),
    ...runRecorder(registers),
    recordTeacher: teacherStates(registers),
    ...evaluationRecorders(registers),
  };
}

function runRecorder(
  registers: Registry[],
): Pick<
  StudentMetrics,
  'recordRun' | 'joinGroup' | 'recordAwaited' | 'recordStep' | 'recordNonFinite'
> {
  const info = new Gauge({ ...NAMES.info, labelNames: ['run'], registers });
  const runSteps = new Gauge({ ...NAMES.runSteps, registers });
  const runStep = new Gauge({ ...NAMES.runStep, registers });
  const loss = new Gauge({ ...NAMES.loss, labelNames: ['term'], registers });
  const setLosses = (losses: StepFigures['losses']) => {
    for (const [term, value] of Object.entries(losses)) loss.set({ term }, value);
  };
  const recordFigures = stepRecorder(registers);
  const group = groupRecorder(registers);
  return {
    recordRun({ id, steps, stepsDone }) {
      info.set({ run: id }, 1);
      runSteps.set(steps);
      runStep.set(stepsDone);
    },
    joinGroup: group.join,
    recordAwaited: group.awaited,
    recordStep(step) {
      runStep.inc();
      if (step.group !== undefined) group.step(step.group);
      setLosses(step.losses);
      recordFigures(step);
    },
    recordNonFinite: setLosses,
  };
}

function stepRecorder(registers: Registry[]): StudentMetrics['recordStep'] {
  const steps = new Counter({ ...NAMES.steps, registers });
  const images = new Counter({ ...NAMES.images, registers });
  const seconds = new Histogram({ ...NAMES.stepSeconds, buckets: SECONDS_BUCKETS, registers });
  const phases = new Counter({ ...NAMES.phaseSeconds, labelNames: ['phase'], registers });
  const learningRate = new Gauge({ ...NAMES.learningRate, registers });
  const timestamp = new Gauge({ ...NAMES.lastStepTimestamp, registers });
  const fill = new Gauge({ ...MEMORY_METRIC_NAMES.bankFill, labelNames: ['bank'], registers });
  for (const phase of PHASES) if (phase !== 'collectives') phases.inc({ phase }, 0);
  // 0 would look like a run that has made no step for decades.
  timestamp.setToCurrentTime();
  return (step) => {
    steps.inc();
    images.inc(step.images);
    seconds.observe(step.seconds);
    for (const phase of PHASES) {
      const spent = step.phaseSeconds[phase];
      if (spent !== undefined) phases.inc({ phase }, spent);
    }
    learningRate.set(step.learningRate);
    for (const [bank, ratio] of Object.entries(step.bankFill ?? {})) fill.set({ bank }, ratio);
    timestamp.setToCurrentTime();
  };
}

function evaluationRecorders(
  registers: Registry[],
): Pick<StudentMetrics, 'recordEvaluation' | 'recordEvaluated'> {
  const evaluated = new Gauge({ ...NAMES.evaluated, registers });
  const miou = new Gauge({ ...NAMES.miou, registers });
  const pixelAccuracy = new Gauge({ ...NAMES.pixelAccuracy, registers });
  // 0 before the first evaluation would look like an untrained network.
  miou.set(Number.NaN);
  pixelAccuracy.set(Number.NaN);
  evaluated.set(Number.NaN);
  return {
    recordEvaluation(result) {
      miou.set(result.miou);
      pixelAccuracy.set(result.pixelAccuracy);
    },
    recordEvaluated: (ratio) => evaluated.set(ratio),
  };
}
