/** What is measured of the Open Inference Protocol, and what follows from it. */
import { median, quantile, type RatioOfRounds, ratioOfRounds } from '../../support/statistics.js';
import type { AnswerSize } from '../cases.js';

const MIB = 2 ** 20;

export interface InferenceSide {
  readonly name: string;
  readonly size: AnswerSize;
  /** Images under way. */
  readonly ahead: number;
  /** Of a round. */
  readonly answers: number;
  readonly answerBytes: number;
  /** Of each round, from the first request to the last answer. */
  readonly ms: readonly number[];
  /** Of each round: processor time of client and server, with the processes that the server started. */
  readonly cpuMs: readonly number[];
  /** The server's part of it. */
  readonly serverCpuMs: readonly number[];
  /** Of all answers of all rounds. */
  readonly latenciesMs: readonly number[];
}

export interface InferenceFound {
  readonly sides: readonly InferenceSide[];
  /** What the clients and the peer say that they are. */
  readonly versions: readonly string[];
}

export const DISTILL = 'Distill, our student';
export const STUDENT = 'ModelInfer, our student';
export const OURS = 'ModelInfer, tritonclient';
export const OURS_STREAM = 'ModelStreamInfer, tritonclient';
export const TRITON_STUDENT = 'Triton: ModelInfer, our student';
export const TRITON = 'Triton: ModelInfer, tritonclient';
export const TRITON_STREAM = 'Triton: ModelStreamInfer, tritonclient';

/** Answers per second of each round. */
export function answerRates({ answers, ms }: InferenceSide): number[] {
  return ms.map((each) => answers / (each / 1000));
}

export function mibRates(side: InferenceSide): number[] {
  return answerRates(side).map((rate) => (rate * side.answerBytes) / MIB);
}

export function latencyMs({ latenciesMs }: InferenceSide): { median: number; p99: number } {
  return { median: median(latenciesMs), p99: quantile(latenciesMs, 0.99) };
}

/** Of the rates; of sides that were measured with the same size and number of images under way. */
export function rateRatio(side: InferenceSide, peer: InferenceSide): RatioOfRounds {
  return ratioOfRounds(answerRates(side), answerRates(peer));
}

/** The side of this name in the place of another one. */
export function besides(
  sides: readonly InferenceSide[],
  { size, ahead }: Pick<InferenceSide, 'size' | 'ahead'>,
  name: string,
): InferenceSide | undefined {
  const key = JSON.stringify(size);
  return sides.find(
    (side) => side.name === name && side.ahead === ahead && JSON.stringify(side.size) === key,
  );
}
