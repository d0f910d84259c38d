/** A process alone, two that know nothing of each other, and a group of two, in turns; the collectives by themselves. */
import type { Workload } from '../../services/cli/bench/workload.js';
import { withOpened } from '../support/opened.js';
import { inRounds } from '../support/rounds.js';
import { median } from '../support/statistics.js';
import type { RankRequest, SmallAnswer, StepsAnswer } from './rankSide.js';
import { type StartedRank, startAlone, startGroup } from './ranks.js';
import type { BareCollectives, GroupCase } from './results.js';

export interface Amount {
  readonly rounds: number;
  /** In a round. */
  readonly steps: number;
  /** Repetitions of a gather of one float. */
  readonly small: number;
}

export interface NamedWorkload {
  readonly name: string;
  readonly workload: Workload;
}

interface MeasuredCase {
  readonly found: GroupCase;
  readonly bare: BareCollectives;
  readonly tensorflow: string;
}

export async function measureCase(
  { name, workload }: NamedWorkload,
  { rounds, steps, small }: Amount,
  cores: readonly number[],
  say: (text: string) => void,
): Promise<MeasuredCase> {
  return withOpened(async (open) => {
    const apart = await startAlone(open, workload, cores);
    const group = await startGroup(open, workload, cores);
    const sides: Side[] = [
      { ranks: apart.slice(0, 1), overlap: true },
      { ranks: apart, overlap: true },
      { ranks: group, overlap: true },
      { ranks: group, overlap: false },
    ];
    const [alone, beside, together, afterwards] = await inRounds<Side, StepsAnswer[]>(
      [sides],
      {
        ...{ rounds, warmUp: 1, alternating: true, pauseMs: 100 },
        after: (_, round, [one, , two]) => {
          const [a, b] = [one, two].map((side) => median(side![0]!.ms).toFixed(0));
          say(`${name}: round ${round} of ${rounds}: alone ${a} ms, as a rank ${b} ms`);
        },
      },
      ({ ranks, overlap }) => askAll<StepsAnswer>(ranks, { do: 'steps', count: steps, overlap }),
    );
    const [bare] = await askAll<SmallAnswer>(group, { do: 'small', count: small });
    const { parameters, tensorflow } = group[0]!.ready;
    const last = together!.at(-1)![0]!;
    return {
      found: {
        ...{ name, parameters, alone: alone!.map(([one]) => one!), beside: beside! },
        ...{ group: together!, afterwards: afterwards! },
        ...{ bytes: last.bytes / steps, calls: last.calls / steps },
      },
      bare: { smallMs: bare!.ms },
      tensorflow,
    };
  });
}

interface Side {
  readonly ranks: readonly StartedRank[];
  readonly overlap: boolean;
}

function askAll<Answer>(ranks: readonly StartedRank[], request: RankRequest): Promise<Answer[]> {
  return Promise.all(ranks.map(({ process }) => process.ask<Answer>(request)));
}
