/** What bench/group measures. */
import type { MeasuredThere } from '../support/results.js';

/** One process in one round. */
export interface RankRound {
  /** Of each step. */
  readonly ms: readonly number[];
  /** Of each step: in collectives, waits for the other rank included. */
  readonly collectiveMs: readonly number[];
  /** Of each step: what the reductions of the gradients took, and how long the step waited for them at its end. */
  readonly gradients: readonly { readonly tookMs: number; readonly waitedMs: number }[];
}

export interface GroupCase {
  readonly name: string;
  /** Trained numbers: network and projection heads. */
  readonly parameters: number;
  /** One process alone, by rounds. */
  readonly alone: readonly RankRound[];
  /** Two processes that know nothing of each other, at the same time: by rounds, then by process. */
  readonly beside: readonly (readonly RankRound[])[];
  /** A group of two: by rounds, then by rank. */
  readonly group: readonly (readonly RankRound[])[];
  /** The same group, which sends its gradients after the backward pass instead of during it. */
  readonly afterwards: readonly (readonly RankRound[])[];
  /** Given to collectives by a rank in a step. */
  readonly bytes: number;
  readonly calls: number;
}

/** The collectives by themselves, between two ranks. */
export interface BareCollectives {
  /** A gather of one float, by repetitions. */
  readonly smallMs: readonly number[];
}

export interface GroupFound {
  /** Crops of each process. */
  readonly images: number;
  /** Pixels. */
  readonly height: number;
  readonly width: number;
  /** The two processors, as taskset names them. */
  readonly cores: readonly number[];
  readonly bare: BareCollectives;
  readonly cases: readonly GroupCase[];
}

export type GroupResults = GroupFound & MeasuredThere;
