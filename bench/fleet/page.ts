/** What a page shows of the results: goals, one process or two, waiting, scaling. */
import type { Page } from '../support/bench.js';
import {
  fixed,
  goalRow,
  goalTableOf,
  paragraphs,
  percent,
  spread,
  tableOf,
} from '../support/markdown.js';
import { machineLine } from '../support/results.js';
import { median } from '../support/statistics.js';
import {
  type FleetResults,
  linearShare,
  type RemoteResult,
  type ScalingResult,
} from './results.js';

export const FLEET_PAGE: Page<FleetResults> = {
  sections: (results) => ({ fleet: section(results) }),
};

const share = percent(2);

export function section(results: FleetResults): string {
  const { height, width, latencyMs } = results.size;
  return paragraphs(
    machineLine(results),
    '### Goals of a fleet',
    goalTable(results),
    '### One process or two',
    remoteTable(results.remote),
    '### Waiting',
    waitingTable(results),
    '### Scaling',
    `Crops of ${height}×${width}, ${latencyMs} ms per image at each teacher. In brackets: quartiles of the rounds.`,
    scalingTable(results.scaling, latencyMs),
  );
}

export function goalTable({ remote, waiting, scaling, size }: FleetResults): string {
  const worst = scaling.map((each) =>
    linearShare(each, median(each.imagesPerSecond), size.latencyMs),
  );
  const longest = waiting.prefetch.at(-1)!;
  const rows = [
    goalRow('teacher in another process: images/s / in the same', remoteRatio(remote), '≥', 0.95),
    goalRow(
      `share of the time waited for teachers, ${longest.prefetchSteps} steps ahead`,
      median(longest.share),
      '≤',
      0.03,
    ),
    goalRow('images/s / what the teachers can, the worst fleet', Math.min(...worst), '≥', 0.95),
  ];
  return goalTableOf(rows);
}

function remoteRatio({ onePerSecond, twoPerSecond }: RemoteResult): number {
  return median(twoPerSecond) / median(onePerSecond);
}

function remoteTable(remote: RemoteResult): string {
  const { onePerSecond, twoPerSecond, oneWaiting, twoWaiting } = remote;
  const rows = [
    { where: 'in the same process', rates: onePerSecond, waiting: oneWaiting },
    { where: 'in another one', rates: twoPerSecond, waiting: twoWaiting },
  ];
  return tableOf(rows, [
    ['teacher', ({ where }) => where],
    ['images/s', ({ rates }) => spread(rates, fixed(2))],
    ['waited for it', ({ waiting }) => share(median(waiting))],
  ]);
}

function waitingTable({ waiting }: FleetResults): string {
  const { teachers, steps, stepMs, prefetch } = waiting;
  const line = `${teachers} teachers, rounds of ${steps} steps of ${stepMs} ms with two images.`;
  const table = tableOf(prefetch, [
    ['`teacher.prefetchSteps`', ({ prefetchSteps }) => String(prefetchSteps)],
    ['of the time waited, by rounds', (each) => each.share.map(share).join(', ')],
  ]);
  return paragraphs(line, table);
}

function scalingTable(scaling: readonly ScalingResult[], latencyMs: number): string {
  const rate = ({ imagesPerSecond }: ScalingResult) => median(imagesPerSecond);
  const [one] = scaling as readonly [ScalingResult];
  const ofOne = (each: ScalingResult) => rate(each) / rate(one) / (each.teachers / one.teachers);
  return tableOf(scaling, [
    ['teachers', ({ teachers }) => String(teachers)],
    ['images/s', ({ imagesPerSecond }) => spread(imagesPerSecond, fixed(2))],
    ['of what the teachers can', (each) => linearShare(each, rate(each), latencyMs).toFixed(3)],
    ['of one teacher times n', (each) => ofOne(each).toFixed(3)],
  ]);
}
