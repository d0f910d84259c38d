/** What a page shows of the results: goals, times, memory, agreement, profiles; graphs in a section of their own. */
import type { WorkProfile } from '../../services/cli/bench/opProfile.js';
import type { Page } from '../support/bench.js';
import {
  type Column,
  goalRow,
  goalTableOf,
  mib,
  paragraphs,
  percent,
  ratioCell,
  seconds,
  spread,
  tableOf,
  times,
} from '../support/markdown.js';
import { machineLine } from '../support/results.js';
import { median } from '../support/statistics.js';
import { WANTED_REST, wantedMemory, wantedSpeed } from './goals.js';
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
  const speed = cases.flatMap((result) => {
    const wanted = wantedSpeed(result.case);
    if (wanted === null) return [];
    const { ratio } = faster(pairedTotals(result));
    return [goalRow(`${result.case.title}: PyTorch's time / time`, ratio, '≥', wanted)];
  });
  const rest = studentPairs(cases).map(({ whole, network }) => {
    const share = 1 / faster(restOf(whole, network)).ratio;
    const name = whole.case.title.replace('whole step', 'rest of the step');
    return goalRow(`${name}: time / PyTorch's`, share, '≤', WANTED_REST);
  });
  const memory = cases.map(({ case: stepCase, sides }) => {
    const name = `${stepCase.title}: peak memory / PyTorch's`;
    return goalRow(name, memoryShare(sides), '≤', wantedMemory(stepCase));
  });
  return goalTableOf([...speed, ...rest, ...memory]);
}

interface TimeRow {
  readonly name: string;
  readonly paired: Paired;
}

const TIMES: readonly Column<TimeRow>[] = [
  ['', ({ name }) => name],
  ['here, s', ({ paired }) => spread(paired.cirkd, seconds)],
  ['PyTorch, s', ({ paired }) => spread(paired.torch, seconds)],
  ['PyTorch / here', ({ paired }) => ratioCell(faster(paired), times)],
];

function timeTable(cases: readonly CaseResult[]): string {
  const rows = cases.map((result) => {
    const { title, workload } = result.case;
    return { name: title, images: workload.images, paired: pairedTotals(result) };
  });
  const rate = (images: number, ms: readonly number[]) => ((1000 * images) / median(ms)).toFixed(2);
  return tableOf(rows, [
    ...TIMES,
    ['here, images/s', ({ images, paired }) => rate(images, paired.cirkd)],
    ['PyTorch, images/s', ({ images, paired }) => rate(images, paired.torch)],
  ]);
}

/** Of each student: the network's step in its parts, and what the whole step takes beyond it. */
export function partTable(cases: readonly CaseResult[]): string {
  const networks = cases.filter((result) => result.case.kind === 'network');
  const rows = networks.flatMap((network): TimeRow[] => {
    const name = network.case.title.replace('network step, ', '');
    const { cirkd, torch } = network.sides;
    const part = (key: string): Paired => ({
      cirkd: partOf(cirkd, key),
      torch: partOf(torch, key),
    });
    const pair = studentPairs(cases).find((each) => each.network === network);
    const rest = pair === undefined ? [] : [restOf(pair.whole, pair.network)];
    return [
      { name: `${name}: forward and backward`, paired: part('pass') },
      { name: `${name}: update`, paired: part('update') },
      ...rest.map((paired) => ({ name: `${name}: rest (whole minus network)`, paired })),
    ];
  });
  return tableOf(rows, TIMES);
}

function memoryTable(cases: readonly CaseResult[]): string {
  return tableOf(cases, [
    ['', ({ case: { title } }) => title],
    ['here, MiB', ({ sides }) => mib(extraMiB(sides.cirkd))],
    ['PyTorch, MiB', ({ sides }) => mib(extraMiB(sides.torch))],
    ['here / PyTorch', ({ sides }) => memoryShare(sides).toFixed(2)],
    ['start here, MiB', ({ sides }) => mib(sides.cirkd.startKiB / 1024)],
    ['start PyTorch, MiB', ({ sides }) => mib(sides.torch.startKiB / 1024)],
  ]);
}

const memoryShare = ({ cirkd, torch }: CaseResult['sides']) => extraMiB(cirkd) / extraMiB(torch);

function agreementTable(cases: readonly CaseResult[]): string {
  const rows = cases.flatMap(({ case: { name }, agreement }) =>
    agreement.map((distance) => ({ name, ...distance })),
  );
  return tableOf(rows, [
    ['case', ({ name }) => name],
    ['compared', ({ what }) => what],
    ['largest difference', ({ worst }) => worst.toExponential(1)],
    ['tolerance', ({ tolerance }) => String(tolerance)],
  ]);
}

/** The ops that take longest, what the others take together, and what no op takes. */
function profileTable({ ms, rows, rest, machineGigaflops }: WorkProfile): string {
  const [shown, others] = [rows.slice(0, PROFILE_ROWS), rows.slice(PROFILE_ROWS)];
  const sum = (key: 'calls' | 'ms' | 'share') => others.reduce((total, row) => total + row[key], 0);
  const together = { calls: sum('calls'), ms: sum('ms'), share: sum('share'), gigaflops: null };
  const lines = [
    ...shown,
    ...(others.length === 0 ? [] : [{ op: `${others.length} others`, ...together }]),
    { op: 'JavaScript and waiting', calls: null, gigaflops: null, ...rest },
    { op: 'total', calls: null, ms, share: 1, gigaflops: null },
  ];
  return tableOf(lines, [
    ['op', ({ op }) => op],
    ['calls', ({ calls }) => calls?.toFixed(0) ?? ''],
    ['ms', (line) => line.ms.toFixed(0)],
    ['share', ({ share }) => percent(1)(share)],
    ['GFLOP/s', ({ gigaflops }) => gigaflops?.toFixed(0) ?? ''],
    [
      `of a product's (${machineGigaflops.toFixed(0)})`,
      ({ gigaflops }) => (gigaflops === null ? '' : percent(0)(gigaflops / machineGigaflops)),
    ],
  ]);
}

function graphTable(graphs: readonly GraphResult[]): string {
  return tableOf(graphs, [
    ['', ({ case: { title }, runtime }) => `${title}, ${runtime}`],
    ['own kernels, s', ({ own }) => spread(totals(own), seconds)],
    ['as a graph, s', ({ graph }) => spread(totals(graph), seconds)],
    ['own, fastest round', ({ own }) => seconds(fastest(own))],
    ['graph, fastest round', ({ graph }) => seconds(fastest(graph))],
    ['own, peak MiB', ({ own }) => mib(extraMiB(own))],
    ['graph, peak MiB', ({ graph }) => mib(extraMiB(graph))],
  ]);
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
