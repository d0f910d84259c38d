/** What a page shows of the results: goals and rates. */
import type { Page } from '../support/bench.js';
import {
  fixed,
  goalRow,
  goalTableOf,
  paragraphs,
  ratioCell,
  spread,
  tableOf,
} from '../support/markdown.js';
import { inferenceSection } from './inference/inferencePage.js';
import { machineLine } from '../support/results.js';
import { median } from '../support/statistics.js';
import {
  BARE,
  bestCase,
  CASE_NAMES,
  CORE,
  CORE_WHOLE,
  MIB,
  rates,
  ratioOf,
  type SideResult,
  sideNamed,
  type TransportResults,
} from './results.js';

export const TRANSPORT_PAGE: Page<TransportResults> = {
  sections: (results) => ({
    ...(results.sides.length === 0 ? {} : { transport: section(results) }),
    ...(results.inference === undefined
      ? {}
      : { inference: paragraphs(machineLine(results), inferenceSection(results.inference)) }),
  }),
};

export function section(results: TransportResults): string {
  const { size, sides } = results;
  const rounds = sides[0]?.ms.length ?? 0;
  const { height, width, channels, classes } = size;
  return paragraphs(
    machineLine(results),
    `${height}×${width} positions, ${channels} channels, ${classes} classes; ${rounds} rounds. In brackets: quartiles of the rounds.`,
    '### Goals of the wire',
    goalTable(results),
    '### Rates',
    rateTable(results),
  );
}

/** The C core counts with the message size that suits it better. */
export function goalTable(results: TransportResults): string {
  const side = (name: string) => sideNamed(results, name);
  const [chunks, whole] = [side(CORE), side(CORE_WHOLE)];
  const core = median(rates(chunks)) > median(rates(whole)) ? chunks : whole;
  const best = bestCase(results);
  const rows = [
    goalRow(
      `${CASE_NAMES[0]}: MiB/s into tensors / ${BARE}`,
      ratioOf(side(CASE_NAMES[0]!), side(BARE)).ratio,
      '≥',
      0.9,
    ),
    goalRow(
      `${best.name}: fp32-equivalent MiB/s into tensors / ${core.name}`,
      ratioOf(best, core).ratio,
      '≥',
      2,
    ),
  ];
  return goalTableOf(rows);
}

function rateTable(results: TransportResults): string {
  const bare = sideNamed(results, BARE);
  const perAnswer = ({ cpuMs, answers }: SideResult) => median(cpuMs.map((each) => each / answers));
  return tableOf(results.sides, [
    ['side', ({ name }) => name],
    ['MiB per answer', ({ answerBytes }) => (answerBytes / MIB).toFixed(2)],
    ['fp32-equivalent MiB/s', (side) => spread(rates(side), fixed(0))],
    [`times ${BARE}`, (side) => ratioCell(ratioOf(side, bare), fixed(2))],
    ['CPU ms per answer', (side) => perAnswer(side).toFixed(1)],
  ]);
}
