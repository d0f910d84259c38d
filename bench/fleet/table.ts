/** Results as a section of a Markdown file. */
import { machineLine } from '../support/machine.js';
import { GOAL_HEADER, goalRow, markdownTable } from '../support/markdown.js';
import { median, quartiles } from '../support/statistics.js';
import {
  type FleetResults,
  linearShare,
  type RemoteResult,
  type ScalingResult,
} from './results.js';

export function section(results: FleetResults): string {
  const { height, width, latencyMs } = results.size;
  return [
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
  ].join('\n\n');
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
  return markdownTable([...GOAL_HEADER], rows);
}

export function remoteRatio({ onePerSecond, twoPerSecond }: RemoteResult): number {
  return median(twoPerSecond) / median(onePerSecond);
}

function remoteTable(remote: RemoteResult): string {
  const { onePerSecond, twoPerSecond, oneWaiting, twoWaiting } = remote;
  const header = ['teacher', 'images/s', 'waited for it'];
  return markdownTable(header, [
    ['in the same process', spread(onePerSecond, 2), percent(median(oneWaiting))],
    ['in another one', spread(twoPerSecond, 2), percent(median(twoWaiting))],
  ]);
}

function waitingTable({ waiting }: FleetResults): string {
  const { teachers, steps, stepMs, prefetch } = waiting;
  const line = `${teachers} teachers, rounds of ${steps} steps of ${stepMs} ms with two images.`;
  const rows = prefetch.map(({ prefetchSteps, share }) => [
    String(prefetchSteps),
    share.map(percent).join(', '),
  ]);
  const table = markdownTable(['`teacher.prefetchSteps`', 'of the time waited, by rounds'], rows);
  return `${line}\n\n${table}`;
}

function scalingTable(scaling: readonly ScalingResult[], latencyMs: number): string {
  const one = median(scaling[0]!.imagesPerSecond);
  const rows = scaling.map((each) => {
    const rate = median(each.imagesPerSecond);
    return [
      String(each.teachers),
      spread(each.imagesPerSecond, 2),
      linearShare(each, rate, latencyMs).toFixed(3),
      (rate / one / (each.teachers / scaling[0]!.teachers)).toFixed(3),
    ];
  });
  const header = ['teachers', 'images/s', 'of what the teachers can', 'of one teacher times n'];
  return markdownTable(header, rows);
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

function spread(values: readonly number[], digits: number): string {
  const between = quartiles(values).map((each) => each.toFixed(digits));
  return `${median(values).toFixed(digits)} (${between.join('–')})`;
}
