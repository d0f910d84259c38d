/** What the measurement of the kernels finds. */
import type { MeasuredThere } from '../support/results.js';
import type { Times } from './protocol.js';
import type { NetworkName, NetworkShape } from './shapes.js';

/** This project's kernels as they are, without Winograd's algorithm, and PyTorch's. */
export type SideName = 'here' | 'direct' | 'torch';
export const SIDE_NAMES: readonly SideName[] = ['here', 'direct', 'torch'];

export interface ShapeResult {
  readonly network: NetworkName;
  readonly shape: NetworkShape;
  readonly sides: Readonly<Record<SideName, Times>>;
}

export interface KernelsFound {
  /** 1e9 multiply-adds between registers a second, times two, in one thread; a level that the processor lacks is absent. */
  readonly peak: Readonly<Partial<Record<Level, number>>>;
  readonly shapes: readonly ShapeResult[];
}

export const LEVELS = ['wide', 'medium', 'narrow'] as const;
export type Level = (typeof LEVELS)[number];

export type KernelsResults = KernelsFound & MeasuredThere;
