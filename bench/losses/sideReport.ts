/**
 * What a measured process is told and what it answers: one JSON argument, one JSON line. Both sides must have
 * computed the same, or their times mean nothing.
 */
import { type Point, pointName, type Products } from './points.js';

export interface SideTask {
  readonly point: Point;
  /** Makes the inputs and ends: the memory that is there anyway. */
  readonly inputsOnly: boolean;
  readonly threads: number;
  /** Repetitions end at whichever comes first; there is at least one. */
  readonly maxRepetitions: number;
  readonly maxSeconds: number;
  /** How long the matrix products are sampled. */
  readonly productSeconds: number;
}

export interface SideReport {
  /** Peak resident memory since the inputs were made. */
  readonly peakKiB: number;
  /** 'TensorFlow 2.21.0' */
  readonly engine: string;
  /** null with inputsOnly. */
  readonly measured: Measured | null;
}

export interface Measured {
  /** One a repetition. */
  readonly ms: readonly number[];
  readonly loss: number;
  readonly gradientNorm: number;
  /** Some elements, evenly spread. */
  readonly gradientSamples: readonly number[];
  /** Of the plain matrix products at the sizes of tiles; FLOP (2 a multiply-add) a second. */
  readonly flopPerSecond: Products;
}

const RELATIVE = 1e-3;

/** Throws Error where loss or gradient differ by more than a thousandth. */
export function assertAgreement(point: Point, a: Measured, b: Measured): void {
  const name = pointName(point);
  assertNear(`${name}: loss`, a.loss, b.loss, Math.abs(b.loss));
  assertNear(`${name}: norm of the gradient`, a.gradientNorm, b.gradientNorm, b.gradientNorm);
  const largest = Math.max(...b.gradientSamples.map(Math.abs));
  b.gradientSamples.forEach((wanted, i) => {
    assertNear(`${name}: element ${i} of the gradient`, a.gradientSamples[i]!, wanted, largest);
  });
}

function assertNear(what: string, got: number, wanted: number, size: number): void {
  // Written so that NaN fails too.
  if (Math.abs(got - wanted) <= RELATIVE * size) return;
  throw new Error(`${what} is ${got} here and ${wanted} in PyTorch`);
}
