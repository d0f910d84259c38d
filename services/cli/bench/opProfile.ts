/** The time of a piece of work, op by op. */
import { performance } from 'node:perf_hooks';
import {
  fill,
  type OpProfile,
  ops as tensorOps,
  scope,
  startProfile,
  stopProfile,
} from '../../../src/tensor/index.js';

export interface ProfileRow {
  readonly op: string;
  /** Per repetition. */
  readonly calls: number;
  /** Per repetition. */
  readonly ms: number;
  /** Share of the repetition's time, 0..1. */
  readonly share: number;
  /** Rate of products and convolutions, counted as direct sums, in 1e9 operations a second; null: another op. */
  readonly gigaflops: number | null;
}

export interface WorkProfile {
  /** Time of one repetition, including the cost of timing each op. */
  readonly ms: number;
  /** The longest first. */
  readonly rows: readonly ProfileRow[];
  /** Time outside of all ops: JavaScript, copies to the host, waiting. */
  readonly rest: { readonly ms: number; readonly share: number };
  /** What the machine reaches in TensorFlow's product of two large matrices, right after: 1e9 a second. */
  readonly machineGigaflops: number;
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
  const totalMs = performance.now() - begin;
  return { ...summarise(ops, totalMs, repetitions), machineGigaflops: productRate() };
}

const PRODUCT_SIZE = 2048;
const PRODUCTS = 5;

/** The fastest of some products of float32 matrices, after one that isn't counted, in 1e9 a second. */
function productRate(): number {
  return scope(() => {
    const matrix = fill([PRODUCT_SIZE, PRODUCT_SIZE], 0.5);
    const ms = Array.from({ length: PRODUCTS + 1 }, () => {
      const begin = performance.now();
      tensorOps.matMul(matrix, matrix).dispose();
      return performance.now() - begin;
    });
    return (2 * PRODUCT_SIZE ** 3) / Math.min(...ms.slice(1)) / 1e6;
  });
}

/** @param totalMs of all repetitions */
export function summarise(
  ops: ReadonlyMap<string, OpProfile>,
  totalMs: number,
  repetitions: number,
): Omit<WorkProfile, 'machineGigaflops'> {
  const rows = [...ops]
    .map(([op, { calls, milliseconds, multiplyAdds }]) => ({
      op,
      calls: calls / repetitions,
      ms: milliseconds / repetitions,
      share: milliseconds / totalMs,
      gigaflops: multiplyAdds === 0 ? null : (2 * multiplyAdds) / milliseconds / 1e6,
    }))
    .sort((a, b) => b.ms - a.ms);
  const rest = totalMs - [...ops.values()].reduce((sum, op) => sum + op.milliseconds, 0);
  return {
    ms: totalMs / repetitions,
    rows,
    rest: { ms: rest / repetitions, share: rest / totalMs },
  };
}
