/** What bench/transport measures, and what follows from it. */
import type { MeasuredThere } from '../support/results.js';
import { median, type RatioOfRounds, ratioOfRounds } from '../support/statistics.js';
import { type AnswerSize, caseName, WIRE_CASES } from './cases.js';
import type { InferenceFound } from './inference/inferenceResults.js';

export const MIB = 2 ** 20;

export interface SideResult {
  readonly name: string;
  /** Moved in a round. */
  readonly answers: number;
  /** Of one, as it travels. */
  readonly answerBytes: number;
  /** Of one in fp32 with logits: what the peers move, and what the encodings stand for. */
  readonly fp32Bytes: number;
  /** Of each round: from the first request to the last byte, or the last tensor. */
  readonly ms: readonly number[];
  /** Of each round: processor time of both processes with all their threads. */
  readonly cpuMs: readonly number[];
}

export interface TransportFound {
  readonly size: AnswerSize;
  /** None where only the other part was measured. */
  readonly sides: readonly SideResult[];
  readonly inference?: InferenceFound;
}

export type TransportResults = TransportFound & MeasuredThere;

/** fp32-equivalent MiB/s of each round. */
export function rates({ answers, fp32Bytes, ms }: SideResult): number[] {
  return ms.map((each) => (answers * fp32Bytes) / MIB / (each / 1000));
}

/** Of the rates. */
export function ratioOf(side: SideResult, peer: SideResult): RatioOfRounds {
  return ratioOfRounds(rates(side), rates(peer));
}

export function sideNamed(results: TransportResults, name: string): SideResult {
  const side = results.sides.find((each) => each.name === name);
  if (side === undefined) throw new Error(`${name}: not measured`);
  return side;
}

export const BARE = 'grpc-js, bytes';
export const BARE_LESS_GARBAGE = 'grpc-js, bytes, heap growing as here';
export const CORE = "grpc's C core, bytes";
export const CORE_WHOLE = "grpc's C core, bytes, an answer a message";
export const CASE_NAMES = WIRE_CASES.map(caseName);

/** The way of sending that is fastest here: every one of them is harmless (docs/wire.md). */
export function bestCase(results: TransportResults): SideResult {
  const cases = CASE_NAMES.map((name) => sideNamed(results, name));
  return cases.reduce((best, each) => (median(rates(each)) > median(rates(best)) ? each : best));
}
