/** What a page shows of the Open Inference Protocol's results. */
import {
  fixed,
  goalRow,
  goalTableOf,
  paragraphs,
  ratioCell,
  spread,
  tableOf,
} from '../../support/markdown.js';
import { median } from '../../support/statistics.js';
import { sizeName } from './inferenceCases.js';
import {
  besides,
  DISTILL,
  type InferenceFound,
  type InferenceSide,
  latencyMs,
  mibRates,
  answerRates,
  OURS,
  OURS_STREAM,
  rateRatio,
  STUDENT,
  TRITON,
  TRITON_STREAM,
  TRITON_STUDENT,
} from './inferenceResults.js';

export function inferenceSection({ sides, versions }: InferenceFound): string {
  const sizes = [...new Set(sides.map(({ size }) => sizeName(size)))];
  return paragraphs(
    `${versions.join(', ')}. In brackets: quartiles of the rounds.`,
    goalTableOf(goals(sides)),
    ...sizes.flatMap((name) => [
      `Answers of ${name}:`,
      rateTable(sides.filter(({ size }) => sizeName(size) === name)),
    ]),
  );
}

/** Ours beside Triton's, for each size and number of images under way. */
export function goals(sides: readonly InferenceSide[]): string[][] {
  const pairs = [
    [OURS, TRITON],
    [OURS_STREAM, TRITON_STREAM],
    [STUDENT, TRITON_STUDENT],
  ] as const;
  return pairs.flatMap(([ours, triton]) =>
    sides
      .filter(({ name }) => name === ours)
      .flatMap((side) => {
        const peer = besides(sides, side, triton);
        if (peer === undefined) return [];
        const what = `${sizeName(side.size)}, ${side.ahead} under way`;
        const name = `${ours}: answers a second / Triton's (${what})`;
        return [goalRow(name, rateRatio(side, peer).ratio, '≥', 1)];
      }),
  );
}

function rateTable(sides: readonly InferenceSide[]): string {
  const perAnswer = (cpuMs: readonly number[], { answers }: InferenceSide) =>
    median(cpuMs.map((each) => each / answers)).toFixed(2);
  return tableOf(sides, [
    ['side', ({ name }) => name],
    ['under way', ({ ahead }) => String(ahead)],
    ['answers a second', (side) => spread(answerRates(side), fixed(0))],
    ['MiB/s', (side) => spread(mibRates(side), fixed(0))],
    ['latency ms: median', (side) => latencyMs(side).median.toFixed(1)],
    ['99 %', (side) => latencyMs(side).p99.toFixed(1)],
    ['times Distill', (side) => timesDistill(sides, side)],
    ['processor ms per answer', (side) => perAnswer(side.cpuMs, side)],
    ["the server's", (side) => perAnswer(side.serverCpuMs, side)],
  ]);
}

function timesDistill(sides: readonly InferenceSide[], side: InferenceSide): string {
  const distill = besides(sides, side, DISTILL);
  return distill === undefined ? '' : ratioCell(rateRatio(side, distill), fixed(2));
}
