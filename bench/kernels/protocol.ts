/**
 * How a measured process is talked to: a JSON object a line, both ways. The end of its input ends it. Each computes
 * in one thread; times are processor time.
 */
import type { InputSize, NetworkName, NetworkShape, PassName } from './shapes.js';

export type Request =
  | { readonly do: 'shapes'; readonly network: NetworkName; readonly size: InputSize }
  | { readonly do: 'measure'; readonly shape: NetworkShape };

export interface Ready {
  readonly engine: string;
}

/** The least of the repetitions, ms; of the passes that the shape has (passesOf). */
export type Times = Readonly<Partial<Record<PassName, number>>>;

export interface Answers {
  readonly shapes: { readonly shapes: readonly NetworkShape[] };
  readonly measure: Times;
}

/** Repetitions go on for so long. */
export const LEAST_MS = 150;
