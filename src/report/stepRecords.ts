/** Turns the events of a run into the figures for its charts and tables. */
import type { RunEvent } from '../run/events.js';
import { type Phase, PHASES, type PhaseSeconds } from '../telemetry/metricNames.js';

export interface StepRecord {
  /** Number of steps done. */
  readonly step: number;
  /** Keyed by term; NaN if the value wasn't finite. */
  readonly terms: Readonly<Record<string, number>>;
  readonly learningRate: number;
  readonly images: number;
  /** Images whose answers came from the store of answers; null: the run had none. */
  readonly stored: number | null;
  readonly seconds: PhaseSeconds & { readonly total: number };
}

export interface EvaluationRecord {
  readonly step: number;
  /** Both 0..1. */
  readonly miou: number;
  readonly pixelAccuracy: number;
  /** Per class, 0..1, null for a class that doesn't occur; null if the run didn't record them. */
  readonly iou: readonly (number | null)[] | null;
}

export function stepRecords(events: readonly RunEvent[]): StepRecord[] {
  return events
    .filter(({ kind }) => kind === 'step')
    .map((event) => {
      const seconds = numbers(event['seconds']);
      return {
        step: event.step,
        terms: numbers(event['terms']),
        learningRate: Number(event['learningRate']),
        images: Array.isArray(event['samples']) ? event['samples'].length : 0,
        stored: typeof event['stored'] === 'number' ? event['stored'] : null,
        seconds: {
          total: seconds['total'] ?? 0,
          data: seconds['data'] ?? 0,
          teacher: seconds['teacher'] ?? 0,
          compute: seconds['compute'] ?? 0,
          ...(seconds['collectives'] === undefined ? {} : { collectives: seconds['collectives'] }),
        },
      };
    });
}

export function evaluationRecords(events: readonly RunEvent[]): EvaluationRecord[] {
  return events
    .filter(({ kind }) => kind === 'evaluation')
    .map((event) => ({
      step: event.step,
      miou: Number(event['miou']),
      pixelAccuracy: Number(event['pixelAccuracy']),
      iou: Array.isArray(event['iou'])
        ? event['iou'].map((value) => (typeof value === 'number' ? value : null))
        : null,
    }));
}

export interface StoreUse {
  /** Images of all steps that were made with a store. */
  readonly images: number;
  /** Those whose answers it had. */
  readonly stored: number;
}

/** null if no step was made with a store. */
export function storeUse(records: readonly StepRecord[]): StoreUse | null {
  const withStore = records.filter(({ stored }) => stored !== null);
  if (withStore.length === 0) return null;
  return {
    images: sum(withStore.map(({ images }) => images)),
    stored: sum(withStore.map(({ stored }) => stored ?? 0)),
  };
}

/** The phases that a step of these runs has: collectives only in a group of ranks. */
export function phasesOf(records: readonly StepRecord[]): readonly Phase[] {
  const isGroup = records.some(({ seconds }) => seconds.collectives !== undefined);
  return PHASES.filter((phase) => isGroup || phase !== 'collectives');
}

export interface TimeSplit {
  /** Seconds, summed over all steps. */
  readonly phases: Readonly<Record<Phase, number>>;
  /** Seconds outside of these phases. */
  readonly rest: number;
  /** Mean; 0 without a step. */
  readonly secondsPerStep: number;
}

export function timeSplit(records: readonly StepRecord[]): TimeSplit {
  const of = (phase: keyof StepRecord['seconds']) =>
    sum(records.map(({ seconds }) => seconds[phase] ?? 0));
  const phases = {
    ...{ data: of('data'), teacher: of('teacher') },
    ...{ compute: of('compute'), collectives: of('collectives') },
  };
  const total = of('total');
  const rest = Math.max(0, total - sum(Object.values(phases)));
  return { phases, rest, secondsPerStep: records.length === 0 ? 0 : total / records.length };
}

export interface Throughput {
  /** During training steps, without evaluations and checkpoints; 0 without a step. */
  readonly imagesPerSecond: number;
  /** Share of that time spent waiting for teachers, 0..1. */
  readonly teacherShare: number;
}

export function throughput(records: readonly StepRecord[]): Throughput {
  const total = sum(records.map(({ seconds }) => seconds.total));
  if (total === 0) return { imagesPerSecond: 0, teacherShare: 0 };
  return {
    imagesPerSecond: sum(records.map(({ images }) => images)) / total,
    teacherShare: sum(records.map(({ seconds }) => seconds.teacher)) / total,
  };
}

/** Numbers keyed by name; JSON has no NaN, so events.ts writes it as text. */
function numbers(value: unknown): Record<string, number> {
  if (value === null || typeof value !== 'object') return {};
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, Number(item)]));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
