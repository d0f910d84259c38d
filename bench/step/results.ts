/** What was measured, as it is kept in the results' file, and the figures that follow from it. */
import type { WorkProfile } from '../../services/cli/bench/opProfile.js';
import type { MeasuredThere } from '../support/machine.js';
import { median, quartiles } from '../support/statistics.js';
import type { Distance } from './agreement.js';
import type { StepCase } from './cases.js';
import type { GraphResult } from './graphCase.js';
import type { SideName, Timing } from './protocol.js';

export interface SideResult {
  /** Once the libraries were loaded. */
  readonly startKiB: number;
  /** While it was measured, network and input made. */
  readonly peakKiB: number;
  /** One a round. */
  readonly rounds: readonly Timing[];
}

export interface CaseResult {
  readonly case: StepCase;
  readonly agreement: readonly Distance[];
  readonly sides: Readonly<Record<SideName, SideResult>>;
  /** Of this project's side, after the rounds. */
  readonly profile: WorkProfile;
}

export interface StepResults extends MeasuredThere {
  readonly cases: readonly CaseResult[];
  /** Teachers as graphs. */
  readonly graphs?: readonly GraphResult[];
}

/** Of a whole repetition, one a round. */
export function totals({ rounds }: SideResult): number[] {
  return rounds.map((parts) => Object.values(parts).reduce((sum, ms) => sum + ms, 0));
}

/** Of one part, one a round. */
export const partOf = ({ rounds }: SideResult, part: string) => rounds.map((parts) => parts[part]!);

export const extraMiB = ({ peakKiB, startKiB }: SideResult) => (peakKiB - startKiB) / 1024;

/** ms of both sides, one a round. */
export type Paired = Readonly<Record<SideName, readonly number[]>>;

export const pairedTotals = ({ sides }: CaseResult): Paired => ({
  cirkd: totals(sides.cirkd),
  torch: totals(sides.torch),
});

/** The whole step less the network's, of the same round. */
export function restOf(whole: CaseResult, network: CaseResult): Paired {
  const [all, part] = [pairedTotals(whole), pairedTotals(network)];
  const less = (side: SideName) => all[side].map((ms, round) => ms - part[side][round]!);
  return { cirkd: less('cirkd'), torch: less('torch') };
}

/** PyTorch's time over ours. */
export interface Faster {
  /** Of the medians. */
  readonly ratio: number;
  /** Of the rounds. */
  readonly quartiles: readonly [number, number];
}

export function faster({ cirkd, torch }: Paired): Faster {
  return {
    ratio: median(torch) / median(cirkd),
    quartiles: quartiles(torch.map((ms, round) => ms / cirkd[round]!)),
  };
}

/** Students of which both the network alone and the whole step were measured. */
export function studentPairs(
  cases: readonly CaseResult[],
): { readonly whole: CaseResult; readonly network: CaseResult }[] {
  return cases.flatMap((whole) => {
    const { kind, workload } = whole.case;
    const network = cases.find(
      (other) =>
        other.case.kind === 'network' && other.case.workload.backbone === workload.backbone,
    );
    return kind === 'whole' && network !== undefined ? [{ whole, network }] : [];
  });
}
