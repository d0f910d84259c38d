/** Times a piece of work and its memory. */
import { performance } from 'node:perf_hooks';
import { peakKiB, residentKiB, startPeak } from './peakMemory.js';
import { profileWork, type WorkProfile } from './opProfile.js';

export interface WorkMeasurement {
  readonly name: 'teacher forward' | 'student step';
  /** One time per repetition. */
  readonly ms: readonly number[];
  readonly medianMs: number;
  readonly imagesPerSecond: number;
  /** The process's peak memory during the measurement, and its rise above the memory before. */
  readonly peakMiB: number;
  readonly extraMiB: number;
  /** null unless asked for. */
  readonly profile: WorkProfile | null;
}

/** A repeatable piece of work. */
export interface Work {
  run(): void;
  dispose(): void;
}

export interface Repetitions {
  /** Untimed repetitions at first, so that threads, kernels and compiled code exist before timing. */
  readonly warmUp: number;
  readonly timed: number;
  /** Repetitions afterwards with each op timed; 0: no profile. */
  readonly profiled: number;
}

/** @param images images per repetition */
export function measureWork(
  name: WorkMeasurement['name'],
  make: () => Work,
  images: number,
  { warmUp, timed, profiled }: Repetitions,
): WorkMeasurement {
  startPeak();
  const before = residentKiB();
  const work = make();
  try {
    // Making weights and input takes more memory for a moment than it keeps.
    startPeak();
    for (let i = 0; i < warmUp; i++) work.run();
    const ms = Array.from({ length: timed }, () => timeOf(() => work.run()));
    const peak = peakKiB();
    const medianMs = median(ms);
    return {
      name,
      ms,
      medianMs,
      imagesPerSecond: (1000 * images) / medianMs,
      peakMiB: peak / 1024,
      extraMiB: (peak - before) / 1024,
      profile: profiled === 0 ? null : profileWork(() => work.run(), profiled),
    };
  } finally {
    work.dispose();
  }
}

export function timeOf(run: () => void): number {
  const begin = performance.now();
  run();
  return performance.now() - begin;
}

/** The median of at least one number. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
