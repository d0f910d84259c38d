/** From joining a group to its first step: a rank that is stopped takes the others along, one that is lost, too. */
import { RankLostError } from '../../../src/collectives/collective.js';
import type { StudentConfig } from '../../../src/config/student.js';
import { unlessAborted } from '../../../src/threads/unlessAborted.js';
import type { ComputeClient, ComputeReady, ComputeSetup } from '../computeProtocol.js';
import type { Reporting } from '../reporting.js';
import { AwaitedLog, awaitedSeconds } from './awaited.js';
import type { GroupNews } from './groupNews.js';

/**
 * Aborted by `stop` and with the group (GroupNews.over), whichever comes first. A stop is passed on to the other ranks;
 * whom they wait for goes to log and metrics.
 * @param news null without other ranks
 */
export function followGroup(
  news: GroupNews | null,
  stop: AbortSignal,
  { distributed: { timeoutMs, workers } }: StudentConfig,
  { log, metrics }: Pick<Reporting, 'log' | 'metrics'>,
): AbortSignal {
  if (news === null) return stop;
  const awaitedLog = new AwaitedLog(timeoutMs / 2 / 1000, workers, log);
  news.report(
    (waits) => {
      const awaited = awaitedSeconds(waits);
      metrics.recordAwaited(awaited);
      awaitedLog.take(awaited);
    },
    (peer) => {
      if (!stop.aborted) log.info({ peer }, 'another rank is to stop');
    },
  );
  news.passOn(stop);
  return AbortSignal.any([stop, news.over]);
}

/**
 * Sets the computing thread up with what `prepare` resolves with. If a rank is to stop before that is done, all of them
 * leave the group in order, and this rejects with the signal's reason or StopAgreedError. Rejects with RankLostError
 * if one is lost.
 * @param over see followGroup()
 */
export async function setUpTogether<Prepared extends { readonly setup: ComputeSetup }>(
  compute: ComputeClient,
  news: GroupNews | null,
  over: AbortSignal,
  prepare: () => Promise<Prepared>,
): Promise<{ readonly ready: ComputeReady; readonly prepared: Prepared }> {
  if (news === null) {
    const prepared = await prepare();
    return { prepared, ready: await unlessAborted(compute.setup(prepared.setup), over) };
  }
  const prepared = await orStop(compute, over, prepare);
  // Not cut short by a stop: the other ranks are in it, too.
  const ready = await compute.setup(prepared.setup);
  if (!isStop(over)) return { ready, prepared };
  await compute.endTraining(false);
  await compute.leave();
  throw over.reason;
}

async function orStop<Prepared>(
  compute: ComputeClient,
  over: AbortSignal,
  prepare: () => Promise<Prepared>,
): Promise<Prepared> {
  try {
    const prepared = await prepare();
    over.throwIfAborted();
    return prepared;
  } catch (error) {
    if (isStop(over) && error === over.reason) await compute.stopStart();
    throw error;
  }
}

function isStop({ aborted, reason }: AbortSignal): boolean {
  return aborted && !(reason instanceof RankLostError);
}
