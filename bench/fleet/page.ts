/** What a page shows of the results: goals, one process or two, waiting, scaling. */
import type { Page } from '../support/bench.js';
import {
  fixed,
  goalRow,
  goalTableOf,
  markdownTable,
  paragraphs,
  percent,
  spread,
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

const rateOf = (rates: readonly number[]) => spread(rates, fixed(2));
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
    `Crops of ${height}×${width}, ${latencyMs} ms an image at each teacher. In brackets: quartiles of the rounds.`,
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
  const header = ['teacher', 'images/s', 'waited for it'];
  return markdownTable(header, [
    ['in the same process', rateOf(onePerSecond), share(median(oneWaiting))],
    ['in another one', rateOf(twoPerSecond), share(median(twoWaiting))],
  ]);
}

function waitingTable({ waiting }: FleetResults): string {
  const { teachers, steps, stepMs, prefetch } = waiting;
  const line = `${teachers} teachers, rounds of ${steps} steps of ${stepMs} ms with two images.`;
  const rows = prefetch.map(({ prefetchSteps, share: waited }) => [
    String(prefetchSteps),
    waited.map(share).join(', '),
  ]);
  const table = markdownTable(['`teacher.prefetchSteps`', 'of the time waited, by rounds'], rows);
  return paragraphs(line, table);
}

function scalingTable(scaling: readonly ScalingResult[], latencyMs: number): string {
  const one = median(scaling[0]!.imagesPerSecond);
  const rows = scaling.map((each) => {
    const rate = median(each.imagesPerSecond);
    return [
      String(each.teachers),
      rateOf(each.imagesPerSecond),
      linearShare(each, rate, latencyMs).toFixed(3),
      (rate / one / (each.teachers / scaling[0]!.teachers)).toFixed(3),
    ];
  });
  const header = ['teachers', 'images/s', 'of what the teachers can', 'of one teacher times n'];
  return markdownTable(header, rows);
}
