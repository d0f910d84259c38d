/** The time of a piece of work, op by op. */
import { performance } from 'node:perf_hooks';
import { type OpProfile, startProfile, stopProfile } from '../../../src/tensor/index.js';

export interface ProfileRow {
  readonly op: string;
  /** Per repetition. */
  readonly calls: number;
  /** Per repetition. */
  readonly ms: number;
  /** Share of the repetition's time, 0..1. */
  readonly share: number;
}

export interface WorkProfile {
  /** Time of one repetition, including the cost of timing each op. */
  readonly ms: number;
  /** The longest first. */
  readonly rows: readonly ProfileRow[];
  /** Time outside of all ops: JavaScript, copies to the host, waiting. */
  readonly rest: { readonly ms: number; readonly share: number };
}

/** Ops are timed on the calling thread: valid on a CPU, where they are done when they return. */
export function profileWork(run: () => void, repetitions: number): WorkProfile {
  startProfile();
  const begin = performance.now();
  let ops: ReadonlyMap<string, OpProfile>;
  try {
    for (let i = 0; i < repetitions; i++) run();
  } finally {
    ops = stopProfile();
  }
  return summarise(ops, performance.now() - begin, repetitions);
}

/** @param totalMs of all repetitions */
export function summarise(
  ops: ReadonlyMap<string, OpProfile>,
  totalMs: number,
  repetitions: number,
): WorkProfile {
  const rows = [...ops]
    .map(([op, { calls, milliseconds }]) => ({
      op,
      calls: calls / repetitions,
      ms: milliseconds / repetitions,
      share: milliseconds / totalMs,
    }))
    .sort((a, b) => b.ms - a.ms);
  const rest = totalMs - [...ops.values()].reduce((sum, op) => sum + op.milliseconds, 0);
  return {
    ms: totalMs / repetitions,
    rows,
    rest: { ms: rest / repetitions, share: rest / totalMs },
  };
}
