/** The measured cases as Markdown. */
import type { WorkProfile } from '../../services/cli/bench/opProfile.js';
import { markdownTable, mib, seconds, times } from '../support/markdown.js';
import { median, quartiles } from '../support/statistics.js';
import {
  type CaseResult,
  extraMiB,
  faster,
  type Paired,
  pairedTotals,
  partOf,
  restOf,
  studentPairs,
} from './results.js';

const PROFILE_ROWS = 12;

export function timeTable(cases: readonly CaseResult[]): string {
  const header = [
    '',
    'here, s',
    'PyTorch, s',
    'PyTorch / here',
    'here, images/s',
    'PyTorch, images/s',
  ];
  const rows = cases.map((result) => {
    const paired = pairedTotals(result);
    const rate = (ms: readonly number[]) =>
      ((1000 * result.case.workload.images) / median(ms)).toFixed(2);
    return [...timeCells(result.case.title, paired), rate(paired.cirkd), rate(paired.torch)];
  });
  return markdownTable(header, rows);
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
  return markdownTable(['', 'here, s', 'PyTorch, s', 'PyTorch / here'], rows);
}

export function memoryTable(cases: readonly CaseResult[]): string {
  const header = [
    '',
    'here, MiB',
    'PyTorch, MiB',
    'here / PyTorch',
    'start here, MiB',
    'start PyTorch, MiB',
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

export function agreementTable(cases: readonly CaseResult[]): string {
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
export function profileTable({ ms, rows, rest }: WorkProfile): string {
  const share = (value: number) => `${(100 * value).toFixed(1)} %`;
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

function timeCells(name: string, paired: Paired): string[] {
  const { ratio, quartiles: between } = faster(paired);
  return [
    name,
    timeCell(paired.cirkd),
    timeCell(paired.torch),
    `${times(ratio)} (${between.map(times).join('–')})`,
  ];
}

/** Median and quartiles. */
function timeCell(ms: readonly number[]): string {
  return `${seconds(median(ms))} (${quartiles(ms).map(seconds).join('–')})`;
}
