/** A teacher as a graph beside the same network in this project's kernels, as Markdown. */
import { markdownTable, mib, seconds, times } from '../support/markdown.js';
import { median, quartiles } from '../support/statistics.js';
import type { GraphResult } from './graphCase.js';
import { extraMiB, type SideResult, totals } from './results.js';

export function graphTable(graphs: readonly GraphResult[]): string {
  const rows = graphs.map(({ case: { title }, own, graph, runtime }) => [
    `${title}, ${runtime}`,
    timeCell(own),
    timeCell(graph),
    times(median(totals(graph)) / median(totals(own))),
    mib(extraMiB(own)),
    mib(extraMiB(graph)),
  ]);
  const header = [
    '',
    'own kernels, s',
    'as a graph, s',
    'graph / own',
    'own kernels, peak MiB',
    'as a graph, peak MiB',
  ];
  return [markdownTable(header, rows), ...graphs.map(verdict)].join('\n\n');
}

function verdict({ own, graph, agreement, case: { title } }: GraphResult): string {
  const ratio = median(totals(graph)) / median(totals(own));
  const [faster, factor] =
    ratio >= 1 ? ['The own kernels are', ratio] : ['The graph is', 1 / ratio];
  const worst = Math.max(...agreement.map((each) => each.worst)).toExponential(1);
  const name = title.replace('teacher forward, ', '');
  return `${faster} faster, ${times(factor)} times (${name}). The answers differ by ${worst} of the largest value.`;
}

/** Median and quartiles. */
function timeCell(side: SideResult): string {
  const ms = totals(side);
  return `${seconds(median(ms))} (${quartiles(ms).map(seconds).join('–')})`;
}
