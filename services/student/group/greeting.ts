/** What the ranks of a group tell one another before they begin, and what must be the same. */
import { changedFixedKeys } from '../../../src/config/fixedKeys.js';
import { type StudentConfig, studentSchema } from '../../../src/config/student.js';
import { kernelSettings } from '../../program/kernelSettings.js';
import { environmentOf } from '../../program/environment.js';
import type { EvaluationPlan } from '../evaluationPlan.js';
import type { RunData } from '../trainingData.js';

export interface Greeting {
  readonly version: string;
  readonly commit: string;
  readonly config: StudentConfig;
  /** Of data.train: see Dataset.digest. */
  readonly dataset: string;
  /** Of data.val, which the ranks evaluate in turn. */
  readonly validation: string;
  /** Of the environment, as NAME=VALUE: they change the bits of a rank's sums. */
  readonly kernels: readonly string[];
  /** Rank 0's. */
  readonly run: GreetedRun | null;
}

/** The run that rank 0 has opened. */
export interface GreetedRun {
  readonly id: string;
  /** Updates done before this process. */
  readonly stepsDone: number;
  /** Of the checkpoint; null: none, or without a teacher. */
  readonly teacherDigest: string | null;
  readonly isResumed: boolean;
  readonly evaluations: EvaluationPlan;
}

/** A rank can't train with rank 0; the message names the key and both values. Exit code 2. */
export class RankMismatchError extends Error {
  override readonly name = 'RankMismatchError';
}

export async function greetingOf(
  config: StudentConfig,
  { train, val }: RunData,
  run: GreetedRun | null,
): Promise<Greeting> {
  const { cirkd, commit } = await environmentOf({});
  return {
    version: String(cirkd),
    commit: String(commit),
    config,
    dataset: train.digest,
    validation: val.digest,
    kernels: kernelSettings(),
    run,
  };
}

/** Affects the last bits of a rank's sums, which all ranks get alike. */
const OWN_KEYS: ReadonlySet<string> = new Set(['train.threads']);

/** Throws RankMismatchError with everything in which a rank differs from rank 0. */
export function requireAlike(greetings: readonly Greeting[], addresses: readonly string[]): void {
  const first = greetings[0]!;
  const faults = greetings.flatMap((each, rank) =>
    differences(first, each).map(
      ({ what, is, was }) =>
        `  rank ${rank} (${addresses[rank]}): ${what}: got ${JSON.stringify(is)}, rank 0 has ${JSON.stringify(was)}`,
    ),
  );
  if (faults.length === 0) return;
  throw new RankMismatchError(["The ranks can't train together:", ...faults].join('\n'));
}

function differences(first: Greeting, other: Greeting) {
  const { workers } = first.config.distributed;
  const found = changedFixedKeys(studentSchema, first.config, other.config)
    .filter(({ key }) => !OWN_KEYS.has(key))
    .map(({ key, was, is }) => ({ what: key, was, is }));
  const compare = (what: string, was: unknown, is: unknown) => {
    if (JSON.stringify(was) !== JSON.stringify(is)) found.push({ what, was, is });
  };
  compare('distributed.workers', workers, other.config.distributed.workers);
  compare('version', first.version, other.version);
  compare('commit', first.commit, other.commit);
  compare('data.train: list hash', first.dataset, other.dataset);
  compare('data.val: list hash', first.validation, other.validation);
  compare('environment', first.kernels, other.kernels);
  return found;
}
