/** What was wanted of a step, each beside what was measured. */
import { GOAL_HEADER, goalRow, markdownTable } from '../support/markdown.js';
import {
  type CaseResult,
  extraMiB,
  faster,
  pairedTotals,
  restOf,
  studentPairs,
} from './results.js';

const WANTED = { teacher: 1, network: 1, whole: 1.3, rest: 0.25, memory: 0.6 } as const;

export function goalTable(cases: readonly CaseResult[]): string {
  const speed = cases.map((result) => {
    const { kind, title } = result.case;
    return goalRow(
      `${title}: PyTorch's time / time`,
      faster(pairedTotals(result)).ratio,
      '≥',
      WANTED[kind],
    );
  });
  const rest = studentPairs(cases).map(({ whole, network }) => {
    const share = 1 / faster(restOf(whole, network)).ratio;
    const name = whole.case.title.replace('whole step', 'rest of the step');
    return goalRow(`${name}: time / PyTorch's`, share, '≤', WANTED.rest);
  });
  const memory = cases.map(({ case: { title }, sides }) => {
    const share = extraMiB(sides.cirkd) / extraMiB(sides.torch);
    return goalRow(`${title}: peak memory / PyTorch's`, share, '≤', WANTED.memory);
  });
  return markdownTable(GOAL_HEADER, [...speed, ...rest, ...memory]);
}
