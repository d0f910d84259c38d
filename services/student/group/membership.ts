/** This process's place in the group of its config, and how it joins. */
import { RankLostError } from '../../../src/collectives/collective.js';
import { SERVER_VARIABLE, serverVariable } from '../../../src/collectives/serverDef.js';
import type { StudentConfig } from '../../../src/config/student.js';
import { type ThreadCalls, ThreadStuckError } from '../../../src/threads/threadCalls.js';
import type { ComputeCalls, ComputeClient } from '../computeProtocol.js';
import { type Greeting, requireAlike } from './greeting.js';
import { GroupNews } from './groupNews.js';
import { rollCall } from './rollCall/rollCall.js';

/** null: the config has no group. A list of one is a group, too, without anything to wait for. */
export function isInGroup({ distributed }: StudentConfig): boolean {
  return distributed.workers.length > 1;
}

/** Whether this process has the run's folder. */
export function isFollower({ distributed }: StudentConfig): boolean {
  return isInGroup({ distributed } as StudentConfig) && distributed.index !== 0;
}

/** Time for all ranks to load TensorFlow and open its server. */
const SERVERS_MS = 60_000;

export interface JoinOptions {
  readonly stop: AbortSignal;
  /** For all ranks to come; default: the config's. */
  readonly startTimeoutMs?: number;
}

export interface Joined {
  /** Rank 0's greeting. */
  readonly first: Greeting;
  /** To be closed. null: this process has none. */
  readonly news: GroupNews | null;
}

/**
 * Waits for all ranks. Rejects with RankLostError if they don't come, RankMismatchError if they don't fit together,
 * the signal's reason.
 */
export async function joinGroup(
  compute: ComputeClient,
  { distributed }: StudentConfig,
  greeting: Greeting,
  { stop, startTimeoutMs = distributed.startTimeoutMs }: JoinOptions,
): Promise<Joined> {
  const { workers, index, timeoutMs, lateMs } = distributed;
  const rank = index ?? 0;
  await rollCall({ workers, index: rank }, { startTimeoutMs, timeoutMs }, stop);
  // All are there: what is left is the start of their servers.
  const leftMs = Math.max(timeoutMs, Math.min(SERVERS_MS, startTimeoutMs));
  // Read when TensorFlow is opened, by the computing thread's first call. Children must not inherit it: each
  // would start a server on the same port.
  process.env[SERVER_VARIABLE] = serverVariable(workers, rank);
  try {
    const options = { rank, addresses: workers, timeoutMs, startTimeoutMs: leftMs, lateMs };
    const { texts, newsDescriptor } = await compute.join(options, JSON.stringify(greeting));
    const greetings = texts.map((text) => JSON.parse(text) as Greeting);
    requireAlike(greetings, workers);
    const news = GroupNews.open(newsDescriptor, { rank, addresses: workers });
    return { first: greetings[0]!, news };
  } finally {
    delete process.env[SERVER_VARIABLE];
  }
}

/** Time for the other ranks of a run that has all its steps. */
const FINISHED_START_MS = 60_000;

/**
 * The same for rank 0 of a run that has all its steps. The others may have ended for good, as Kubernetes doesn't
 * start a pod again that has done its part: if they don't come, null is returned, and what is left to do
 * (evaluation, report) rank 0 does alone.
 */
export async function joinFinished(
  compute: ComputeClient,
  config: StudentConfig,
  greeting: Greeting,
  stop: AbortSignal,
): Promise<Joined | null> {
  const startTimeoutMs = Math.min(config.distributed.startTimeoutMs, FINISHED_START_MS);
  try {
    return await joinGroup(compute, config, greeting, { stop, startTimeoutMs });
  } catch (error) {
    if (!(error instanceof RankLostError)) throw error;
    return null;
  }
}

/** A thread that is in no collective ends sooner. */
const END_MS = 1000;

/**
 * Ends the computing thread even if it waits for other ranks, which neither Node.js nor the thread itself could
 * interrupt: see tensor/native/collectives.cc.
 */
export async function endComputing(
  thread: ThreadCalls<ComputeCalls>,
  config: StudentConfig,
): Promise<void> {
  if (!isInGroup(config)) return thread.terminate();
  try {
    await thread.terminate(END_MS);
  } catch (error) {
    if (!(error instanceof ThreadStuckError)) throw error;
    interruptCollectives();
    await thread.terminate();
  }
}

/** Aborts the collective that this process waits in, if any; none is possible afterwards. */
export function interruptCollectives(): void {
  process.kill(process.pid, 'SIGURG');
}
