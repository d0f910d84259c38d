/** What a measured process is told and what it answers: one JSON argument, one JSON line. */
import type { Point, Products } from './points.js';

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
