/** What a page shows of the results: steps, what the collectives take, and the projection. */
import type { Page } from '../support/bench.js';
import { fixed, paragraphs, percent, spread, tableOf } from '../support/markdown.js';
import { machineLine } from '../support/results.js';
import { median } from '../support/statistics.js';
import { efficiency, latencyMs, type ProjectedStep, transferMs } from './projection.js';
import type { GroupCase, GroupResults, RankRound } from './results.js';

export const GROUP_PAGE: Page<GroupResults> = {
  sections: (results) => ({ group: section(results) }),
};

const MIB = 2 ** 20;
const PROJECTED_RANKS = 8;
const PROJECTED_GIGABITS = [25, 100];
const share = percent(0);
const whole = fixed(0);

export function section(results: GroupResults): string {
  const { images, height, width, cores, cases, bare } = results;
  const smallMs = median(bare.smallMs);
  return paragraphs(
    machineLine(results),
    `${images} crops of ${height}×${width} in each process, one core each (${cores.join(' and ')}), all terms of the ` +
      'default objective, input in memory. In brackets: quartiles of the steps.',
    stepTable(cases),
    'Efficiency: the step of one process alone, divided by the step of the group. Without exchange: two such ' +
      'processes at once that know nothing of each other, which share the memory and the cache of the machine.',
    useTable(cases),
    'The gradients of the group, sent during the backward pass or after it, in turns. What is hidden: the part of the ' +
      'time that the reductions took for which the step did not wait at its end. They need processor time themselves, ' +
      'which a rank with one core takes from the backward pass; so the steps show what is gained. After the backward ' +
      'pass a reduction still hides behind the packing of the next bucket.',
    gradientTable(cases),
    `A gather of one float takes ${spread(bare.smallMs, fixed(2))} ms.`,
    `**Projected, not measured**: arithmetic on the figures above for ${PROJECTED_RANKS} ranks. A ring sends each byte ` +
      `2·${PROJECTED_RANKS - 1}/${PROJECTED_RANKS} times, as if nothing of it were hidden; a collective takes ${PROJECTED_RANKS - 1} times ` +
      'as long as between two ranks, since a rank handles as many times the messages (those of a small gather are under ' +
      "way at once, so with cores to spare it takes less). The step is one core's. A GPU makes it shorter, which " +
      "lowers the efficiency, and NCCL's latency is lower than this one, which raises it; neither was measured.",
    projectionTable(cases, smallMs),
  );
}

/** The slower rank of each step: a step is over when both have made it. */
export function stepsOf(rounds: readonly (readonly RankRound[])[]): number[] {
  return rounds.flatMap(([first, ...others]) =>
    first!.ms.map((ms, step) => Math.max(ms, ...others.map((other) => other.ms[step]!))),
  );
}

const aloneSteps = ({ alone }: GroupCase) => alone.flatMap(({ ms }) => [...ms]);

export function stepTable(cases: readonly GroupCase[]): string {
  const of = (steps: readonly number[], each: GroupCase) =>
    (median(aloneSteps(each)) / median(steps)).toFixed(3);
  return tableOf(cases, [
    ['network', ({ name }) => name],
    ['one process, ms', (each) => spread(aloneSteps(each), whole)],
    ['two, without exchange', ({ beside }) => spread(stepsOf(beside), whole)],
    ['efficiency', (each) => of(stepsOf(each.beside), each)],
    ['two ranks', ({ group }) => spread(stepsOf(group), whole)],
    ['efficiency', (each) => of(stepsOf(each.group), each)],
  ]);
}

/** Of the rank that waits less in a step: what is left is the exchange itself. */
export function exchangeMs({ group }: GroupCase): number[] {
  return group.flatMap(([first, ...others]) =>
    first!.collectiveMs.map((ms, step) =>
      Math.min(ms, ...others.map(({ collectiveMs }) => collectiveMs[step]!)),
    ),
  );
}

function inCollectives({ group }: GroupCase): number[] {
  return group.flat().flatMap(({ collectiveMs }) => [...collectiveMs]);
}

function useTable(cases: readonly GroupCase[]): string {
  const ofStep = (each: GroupCase, ms: readonly number[]) =>
    share(median(ms) / median(stepsOf(each.group)));
  return tableOf(cases, [
    ['network', ({ name }) => name],
    ['trained parameters', ({ parameters }) => String(parameters)],
    ['MiB a rank gives per step', ({ bytes }) => (bytes / MIB).toFixed(1)],
    ['of which gradients', ({ bytes, parameters }) => share((4 * parameters) / bytes)],
    ['collectives per step', ({ calls }) => whole(calls)],
    ['in collectives, ms', (each) => spread(inCollectives(each), whole)],
    ['of the step', (each) => ofStep(each, inCollectives(each))],
    ['of the step, waiting less', (each) => ofStep(each, exchangeMs(each))],
  ]);
}

const roundsOf = ({ group, afterwards }: GroupCase) =>
  [
    ['during', group],
    ['after', afterwards],
  ] as const;

/** Of all steps and ranks together. */
export function hiddenShare(rounds: readonly (readonly RankRound[])[]): number {
  const all = rounds.flat().flatMap(({ gradients }) => [...gradients]);
  const sum = (of: 'tookMs' | 'waitedMs') => all.reduce((total, each) => total + each[of], 0);
  return Math.max(0, 1 - sum('waitedMs') / sum('tookMs'));
}

function gradientTable(cases: readonly GroupCase[]): string {
  const rows = cases.flatMap((each) =>
    roundsOf(each).map(([sent, rounds]) => ({ name: each.name, sent, rounds })),
  );
  const spreadOf = (rounds: readonly (readonly RankRound[])[], of: 'tookMs' | 'waitedMs') =>
    spread(
      rounds.flat().flatMap(({ gradients }) => gradients.map((step) => step[of])),
      whole,
    );
  return tableOf(rows, [
    ['network', ({ name }) => name],
    ['sent', ({ sent }) => `${sent} the backward pass`],
    ['reductions, ms', ({ rounds }) => spreadOf(rounds, 'tookMs')],
    ['waited for, ms', ({ rounds }) => spreadOf(rounds, 'waitedMs')],
    ['hidden', ({ rounds }) => share(hiddenShare(rounds))],
    ['step, ms', ({ rounds }) => spread(stepsOf(rounds), whole)],
  ]);
}

function projectionTable(cases: readonly GroupCase[], smallMs: number): string {
  const rows = cases.flatMap((each) => {
    const { name, bytes, calls } = each;
    const step: ProjectedStep = { stepMs: median(aloneSteps(each)), bytes, calls, smallMs };
    return PROJECTED_GIGABITS.map((gigabits) => {
      const machines = { ranks: PROJECTED_RANKS, gigabits };
      const transfer = transferMs(step, machines);
      const latency = latencyMs(step, PROJECTED_RANKS);
      return {
        name,
        gigabits,
        stepMs: step.stepMs,
        transfer,
        latency,
        ...efficiency(step, machines),
      };
    });
  });
  return tableOf(rows, [
    ['network', ({ name }) => name],
    ['Gbit/s', ({ gigabits }) => String(gigabits)],
    ['step, ms', ({ stepMs }) => whole(stepMs)],
    ['transfer, ms', ({ transfer }) => transfer.toFixed(1)],
    ['latency, ms', ({ latency }) => whole(latency)],
    ['efficiency, transfer alone', ({ transferOnly }) => transferOnly.toFixed(3)],
    ['with the latency', ({ withLatency }) => withLatency.toFixed(3)],
  ]);
}
