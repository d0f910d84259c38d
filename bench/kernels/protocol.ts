/**
 * How a measured process is talked to: a JSON object a line, both ways. The end of its input ends it. Each computes
 * in one thread; times are processor time.
 */
import type { ConvolutionShape, InputSize, NetworkName, NetworkShape } from './shapes.js';

export type Request =
  | { readonly do: 'shapes'; readonly network: NetworkName; readonly size: InputSize }
  | { readonly do: 'measure'; readonly shape: ConvolutionShape };

export interface Ready {
  readonly engine: string;
}

export const PASSES = ['forward', 'inputGradient', 'filterGradient'] as const;
export type PassName = (typeof PASSES)[number];

/** The least of the repetitions, ms. */
export type Times = Readonly<Record<PassName, number>>;

export interface Answers {
  readonly shapes: { readonly shapes: readonly NetworkShape[] };
  readonly measure: Times;
}

/** Repetitions go on for so long. */
export const LEAST_MS = 150;
