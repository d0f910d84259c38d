/** A teacher as a graph beside the same network in this project's kernels, as Markdown. */
import { markdownTable, mib, seconds } from '../support/markdown.js';
import { median, quartiles } from '../support/statistics.js';
import type { GraphResult } from './graphCase.js';
import { extraMiB, type SideResult, totals } from './results.js';

export function graphTable(graphs: readonly GraphResult[]): string {
  const rows = graphs.map(({ case: { title }, own, graph, runtime }) => [
    `${title}, ${runtime}`,
    timeCell(own),
    timeCell(graph),
    seconds(fastest(own)),
    seconds(fastest(graph)),
    mib(extraMiB(own)),
    mib(extraMiB(graph)),
  ]);
  const header = [
    '',
    'own kernels, s',
    'as a graph, s',
    'own, fastest round',
    'graph, fastest round',
    'own, peak MiB',
    'graph, peak MiB',
  ];
  return [markdownTable(header, rows), ...graphs.map(verdict)].join('\n\n');
}

/** The fastest rounds say what either can do, the medians what it did beside all that ran as well. */
function verdict({ own, graph, agreement, case: { title } }: GraphResult): string {
  const byMedian = median(totals(graph)) / median(totals(own));
  const byFastest = fastest(graph) / fastest(own);
  const worst = Math.max(...agreement.map((each) => each.worst)).toExponential(1);
  const name = title.replace('teacher forward, ', '');
  return (
    `${name}: by the medians ${fasterText(byMedian)}, by the fastest rounds ${fasterText(byFastest)}. ` +
    `The answers differ by ${worst} of the largest value.`
  );
}

/** @param ratio the graph's time over the own kernels' */
function fasterText(ratio: number): string {
  return ratio >= 1
    ? `the own kernels are faster, ${ratio.toFixed(2)} times`
    : `the graph is faster, ${(1 / ratio).toFixed(2)} times`;
}

const fastest = (side: SideResult) => Math.min(...totals(side));

/** Median and quartiles. */
function timeCell(side: SideResult): string {
  const ms = totals(side);
  return `${seconds(median(ms))} (${quartiles(ms).map(seconds).join('–')})`;
}
