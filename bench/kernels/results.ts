/** What the measurement of the kernels finds. */
import type { MeasuredThere } from '../support/results.js';
import type { Times } from './protocol.js';
import type { NetworkName, NetworkShape } from './shapes.js';

/** This project's kernels as they are, without Winograd's algorithm, and PyTorch's. */
export type SideName = 'here' | 'direct' | 'torch';

export interface ShapeResult {
  readonly level: MeasuredLevel;
  readonly network: NetworkName;
  readonly shape: NetworkShape;
  /** direct: of shapes that may have Winograd's algorithm (hasWinograd). */
  readonly sides: Readonly<Record<'here' | 'torch', Times>> & { readonly direct?: Times };
}

export interface KernelsFound {
  /** 1e9 multiply-adds between registers a second, times two, in one thread; a level that the processor lacks is absent. */
  readonly peak: Readonly<Partial<Record<Level, number>>>;
  readonly shapes: readonly ShapeResult[];
}

export const LEVELS = ['wide', 'medium', 'narrow'] as const;
export type Level = (typeof LEVELS)[number];

/** Those that oneDNN has kernels for, too. */
export const MEASURED_LEVELS = ['wide', 'medium'] as const;
export type MeasuredLevel = (typeof MEASURED_LEVELS)[number];

export type KernelsResults = KernelsFound & MeasuredThere;
