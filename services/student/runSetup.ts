/** What a run gathers for its computing thread before it begins: initial weights, the other ranks, the setup. */
import type { Teacher } from '../../src/contract/teacher.js';
import type { Dataset } from '../../src/data/types.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import { killChildren } from '../setup/subprocess.mjs';
import type { ComputeClient, ComputeSetup } from './computeProtocol.js';
import type { EvaluationPlan } from './evaluationPlan.js';
import { greetingOf } from './group/greeting.js';
import type { GroupNews } from './group/groupNews.js';
import { isInGroup, joinFinished, joinGroup } from './group/membership.js';
import type { OpenedRun } from './openRun.js';
import type { Reporting } from './reporting.js';
import { readStartWeights, type StartWeights } from './startWeights.js';
import type { RunData } from './trainingData.js';

interface Joining {
  readonly data: RunData;
  readonly plan: EvaluationPlan;
  readonly log: Pick<Reporting['log'], 'warn'>;
  readonly stop: AbortSignal;
}

/** Those that this process runs with. */
export interface JoinedRanks {
  readonly ranks: number;
  /** null without other ranks. */
  readonly news: GroupNews | null;
}

const ALONE: JoinedRanks = { ranks: 1, news: null };

/** Waits for the other ranks of a group, if there is one, and tells them of the run. */
export async function joinOthers(
  compute: ComputeClient,
  { id, config, manifest }: OpenedRun,
  { data, plan, log, stop }: Joining,
): Promise<JoinedRanks> {
  if (!isInGroup(config)) return ALONE;
  const { length: ranks } = config.distributed.workers;
  const run = {
    id,
    stepsDone: manifest?.step ?? 0,
    teacherDigest: manifest?.teacherDigest ?? null,
    isResumed: manifest !== null,
    evaluations: plan,
  };
  const greeting = await greetingOf(config, data, run);
  if (run.stepsDone < config.train.steps) {
    const { news } = await joinGroup(compute, config, greeting, { stop });
    return { ranks, news };
  }
  const joined = await joinFinished(compute, config, greeting, stop);
  if (joined !== null) return { ranks, news: joined.news };
  log.warn('the run has all its steps and the other ranks are gone: rank 0 writes what is missing');
  return ALONE;
}

/** Reads the initial weights; a stop also ends a download. */
export async function startWeightsOf(
  { config }: OpenedRun,
  log: Reporting['log'],
  stop: AbortSignal,
): Promise<StartWeights | null> {
  const notes = { info: (text: string) => log.info(text), warn: (text: string) => log.warn(text) };
  stop.addEventListener('abort', killChildren, { once: true });
  try {
    return await unlessAborted(readStartWeights(config, notes), stop);
  } finally {
    stop.removeEventListener('abort', killChildren);
  }
}

interface SetupParts {
  readonly dataset: Dataset;
  readonly teacher: Teacher | null;
  readonly startWeights: StartWeights | null;
}

export function setupOf(
  opened: OpenedRun,
  { dataset, teacher, startWeights }: SetupParts,
): ComputeSetup {
  return {
    config: opened.config,
    classNames: dataset.classNames,
    teacher:
      teacher === null
        ? null
        : {
            featureChannels: teacher.info.featureChannels,
            alignCorners: teacher.info.alignCorners,
            classifier: teacher.classifier,
            digest: teacher.info.digest,
          },
    state: opened.takeState(),
    startWeights,
  };
}
