/** What was measured, as it is kept in the results' file, and the figures that follow from it. */
import type { WorkProfile } from '../../services/cli/bench/opProfile.js';
import type { MeasuredThere } from '../support/results.js';
import { type RatioOfRounds, ratioOfRounds } from '../support/statistics.js';
import type { Distance } from './agreement.js';
import type { StepCase } from './cases.js';
import type { Timing } from './protocol.js';

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
  readonly sides: Readonly<Record<'cirkd' | 'torch', SideResult>>;
  /** Of this project's side, after the rounds. */
  readonly profile: WorkProfile;
}

/** A teacher as a graph. */
export interface GraphResult {
  readonly case: StepCase;
  readonly agreement: readonly Distance[];
  /** This project's kernels, and the graph's library. */
  readonly own: SideResult;
  readonly graph: SideResult;
  /** "onnxruntime 1.30.0 cpu" */
  readonly runtime: string;
}

export interface StepFound {
  readonly cases: readonly CaseResult[];
  /** Results of before there were any lack them. */
  readonly graphs?: readonly GraphResult[];
}

export type StepResults = StepFound & MeasuredThere;

/** Of a whole repetition, one a round. */
export function totals({ rounds }: SideResult): number[] {
  return rounds.map((parts) => Object.values(parts).reduce((sum, ms) => sum + ms, 0));
}

/** Of one part, one a round. */
export const partOf = ({ rounds }: SideResult, part: string) => rounds.map((parts) => parts[part]!);

export const extraMiB = ({ peakKiB, startKiB }: SideResult) => (peakKiB - startKiB) / 1024;

/** ms of both sides, one a round. */
export type Paired = Readonly<Record<'cirkd' | 'torch', readonly number[]>>;

export const pairedTotals = ({ sides }: CaseResult): Paired => ({
  cirkd: totals(sides.cirkd),
  torch: totals(sides.torch),
});

/** The whole step less the network's, of the same round. */
export function restOf(whole: CaseResult, network: CaseResult): Paired {
  const [all, part] = [pairedTotals(whole), pairedTotals(network)];
  const less = (side: keyof Paired) => all[side].map((ms, round) => ms - part[side][round]!);
  return { cirkd: less('cirkd'), torch: less('torch') };
}

/** PyTorch's time over ours. */
export const faster = ({ cirkd, torch }: Paired): RatioOfRounds => ratioOfRounds(torch, cirkd);

/** Students of which both the network alone and the whole step were measured. */
export function studentPairs(
  cases: readonly CaseResult[],
): { readonly whole: CaseResult; readonly network: CaseResult }[] {
  return cases.flatMap((whole) => {
    const { kind, workload } = whole.case;
    if (workload.recompute === true) return [];
    const network = cases.find(
      (other) =>
        other.case.kind === 'network' && other.case.workload.backbone === workload.backbone,
    );
    return kind === 'whole' && network !== undefined ? [{ whole, network }] : [];
  });
}
