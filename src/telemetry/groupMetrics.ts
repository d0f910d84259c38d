/** The metrics of a group of ranks. A process without other ranks has no series of them. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { STUDENT_METRIC_NAMES as NAMES } from './metricNames.js';

/** What a step cost the group. */
export interface GroupStepFigures {
  /** Given to collectives by this rank, by kind. */
  readonly collectiveBytes: Readonly<Record<string, number>>;
  /** By rank: how much later than the typical rank it came. */
  readonly lagSeconds: readonly number[];
}

export interface GroupPlace {
  readonly rank: number;
  /** Number of ranks. */
  readonly size: number;
}

export interface GroupRecorder {
  /** Begins the series; not called without other ranks. */
  join(place: GroupPlace): void;
  step(figures: GroupStepFigures): void;
  /** @param seconds by rank: for how long another one has waited for it by now; 0: nobody does */
  awaited(seconds: readonly number[]): void;
}

export function groupRecorder(registers: Registry[]): GroupRecorder {
  const bytes = new Counter({ ...NAMES.collectiveBytes, labelNames: ['kind'], registers });
  const lag = new Counter({ ...NAMES.rankLag, labelNames: ['peer'], registers });
  const awaited = new Gauge({ ...NAMES.rankAwaited, labelNames: ['peer'], registers });
  // Every rank knows the lag of all; one serves it.
  let servesLag = false;
  const recordAwaited = (awaitedSeconds: readonly number[]) => {
    if (!servesLag) return;
    awaitedSeconds.forEach((seconds, peer) => {
      awaited.set({ peer: String(peer) }, seconds);
    });
  };
  const recordLag = (lagSeconds: readonly number[]) => {
    if (!servesLag) return;
    lagSeconds.forEach((seconds, peer) => {
      lag.inc({ peer: String(peer) }, seconds);
    });
  };
  return {
    join({ rank, size }) {
      servesLag = rank === 0;
      const nothing = Array.from({ length: size }, () => 0);
      recordLag(nothing);
      recordAwaited(nothing);
    },
    step({ collectiveBytes, lagSeconds }) {
      for (const [kind, count] of Object.entries(collectiveBytes)) {
        if (count > 0) bytes.inc({ kind }, count);
      }
      recordLag(lagSeconds);
    },
    awaited: recordAwaited,
  };
}
