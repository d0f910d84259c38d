/** What a page shows of the results: goals, times, memory, agreement, profiles; graphs in a section of their own. */
import type { WorkProfile } from '../../services/cli/bench/opProfile.js';
import type { Page } from '../support/bench.js';
import {
  goalRow,
  goalTableOf,
  markdownTable,
  mib,
  paragraphs,
  percent,
  ratioCell,
  seconds,
  spread,
  times,
} from '../support/markdown.js';
import { machineLine } from '../support/results.js';
import { median } from '../support/statistics.js';
import {
  type CaseResult,
  extraMiB,
  faster,
  type GraphResult,
  type Paired,
  pairedTotals,
  partOf,
  restOf,
  type SideResult,
  type StepResults,
  studentPairs,
  totals,
} from './results.js';

const WANTED = { teacher: 1, network: 1, whole: 1.3, rest: 0.25, memory: 0.6 } as const;
const PROFILE_ROWS = 12;

export const STEP_PAGE: Page<StepResults> = {
  sections: (results) => ({
    ...(results.cases.length > 0 ? { step: section(results) } : {}),
    ...((results.graphs ?? []).length > 0 ? { graph: graphSection(results) } : {}),
  }),
};

export function section(results: StepResults): string {
  const { cases } = results;
  const profiles = cases.flatMap(({ case: { title }, profile }) => [
    `#### ${title}`,
    profileTable(profile),
  ]);
  return paragraphs(
    machineLine(results),
    roundsLine(cases[0]?.sides.cirkd, cases),
    '### Goals of a step',
    goalTable(cases),
    '### Time',
    timeTable(cases),
    cases.some((result) => result.case.kind === 'network') ? partTable(cases) : '',
    '### Peak memory',
    memoryTable(cases),
    '### Agreement',
    agreementTable(cases),
    '### Where the time goes here',
    ...profiles,
  );
}

function graphSection(results: StepResults): string {
  const { graphs = [] } = results;
  const rounds = roundsLine(graphs[0]?.own, graphs);
  return paragraphs(machineLine(results), rounds, graphTable(graphs), ...graphs.map(verdict));
}

function roundsLine(
  side: SideResult | undefined,
  measured: readonly Pick<CaseResult, 'case'>[],
): string {
  const all = measured.map(
    ({ case: { workload } }) => `${workload.images}×${workload.height}×${workload.width}`,
  );
  const sizes = [...new Set(all)].join(', ');
  return `${side?.rounds.length ?? 0} rounds, ${sizes} pixels. In brackets: quartiles of the rounds.`;
}

export function goalTable(cases: readonly CaseResult[]): string {
  const speed = cases.map((result) => {
    const { kind, title } = result.case;
    const { ratio } = faster(pairedTotals(result));
    return goalRow(`${title}: PyTorch's time / time`, ratio, '≥', WANTED[kind]);
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
  return goalTableOf([...speed, ...rest, ...memory]);
}

const TIMES = ['', 'here, s', 'PyTorch, s', 'PyTorch / here'];

function timeTable(cases: readonly CaseResult[]): string {
  const rows = cases.map((result) => {
    const paired = pairedTotals(result);
    const rate = (ms: readonly number[]) =>
      ((1000 * result.case.workload.images) / median(ms)).toFixed(2);
    return [...timeCells(result.case.title, paired), rate(paired.cirkd), rate(paired.torch)];
  });
  return markdownTable([...TIMES, 'here, images/s', 'PyTorch, images/s'], rows);
}

/** Of each student: the network's step in its parts, and what the whole step takes beyond it. */
export function partTable(cases: readonly CaseResult[]): string {
  const networks = cases.filter((result) => result.case.kind === 'network');
  const rows = networks.flatMap((network) => {
    const name = network.case.title.replace('network step, ', '');
    const part = (key: string): Paired => ({
      cirkd: partOf(network.sides.cirkd, key),
      torch: partOf(network.sides.torch, key),
    });
    const pair = studentPairs(cases).find((each) => each.network === network);
    const rest = pair === undefined ? null : restOf(pair.whole, pair.network);
    return [
      timeCells(`${name}: forward and backward`, part('pass')),
      timeCells(`${name}: update`, part('update')),
      ...(rest === null ? [] : [timeCells(`${name}: rest (whole less network)`, rest)]),
    ];
  });
  return markdownTable(TIMES, rows);
}

function timeCells(name: string, paired: Paired): string[] {
  const { cirkd, torch } = paired;
  return [name, spread(cirkd, seconds), spread(torch, seconds), ratioCell(faster(paired), times)];
}

function memoryTable(cases: readonly CaseResult[]): string {
  const header = [
    ...['', 'here, MiB', 'PyTorch, MiB', 'here / PyTorch'],
    ...['start here, MiB', 'start PyTorch, MiB'],
  ];
  const rows = cases.map(({ case: { title }, sides: { cirkd, torch } }) => [
    title,
    mib(extraMiB(cirkd)),
    mib(extraMiB(torch)),
    (extraMiB(cirkd) / extraMiB(torch)).toFixed(2),
    mib(cirkd.startKiB / 1024),
    mib(torch.startKiB / 1024),
  ]);
  return markdownTable(header, rows);
}

function agreementTable(cases: readonly CaseResult[]): string {
  const rows = cases.flatMap(({ case: { name }, agreement }) =>
    agreement.map(({ what, worst, tolerance }) => [
      name,
      what,
      worst.toExponential(1),
      String(tolerance),
    ]),
  );
  return markdownTable(['case', 'compared', 'largest difference', 'tolerance'], rows);
}

/** The ops that take longest, what the others take together, and what no op takes. */
function profileTable({ ms, rows, rest }: WorkProfile): string {
  const share = percent(1);
  const [shown, others] = [rows.slice(0, PROFILE_ROWS), rows.slice(PROFILE_ROWS)];
  const sum = (key: 'calls' | 'ms' | 'share') => others.reduce((total, row) => total + row[key], 0);
  const line = (name: string, calls: number, time: number, part: number) => [
    name,
    calls.toFixed(0),
    time.toFixed(0),
    share(part),
  ];
  return markdownTable(
    ['op', 'calls', 'ms', 'share'],
    [
      ...shown.map((row) => line(row.op, row.calls, row.ms, row.share)),
      ...(others.length === 0
        ? []
        : [line(`${others.length} others`, sum('calls'), sum('ms'), sum('share'))]),
      ['JavaScript and waiting', '', rest.ms.toFixed(0), share(rest.share)],
      ['total', '', ms.toFixed(0), share(1)],
    ],
  );
}

function graphTable(graphs: readonly GraphResult[]): string {
  const rows = graphs.map(({ case: { title }, own, graph, runtime }) => [
    `${title}, ${runtime}`,
    spread(totals(own), seconds),
    spread(totals(graph), seconds),
    seconds(fastest(own)),
    seconds(fastest(graph)),
    mib(extraMiB(own)),
    mib(extraMiB(graph)),
  ]);
  const header = [
    ...['', 'own kernels, s', 'as a graph, s', 'own, fastest round', 'graph, fastest round'],
    ...['own, peak MiB', 'graph, peak MiB'],
  ];
  return markdownTable(header, rows);
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
