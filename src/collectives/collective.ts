/** What the processes of a student's group do together. */
import type { Tensor } from '../tensor/index.js';

export const COLLECTIVE_KINDS = ['all_reduce', 'all_gather', 'broadcast'] as const;

export type CollectiveKind = (typeof COLLECTIVE_KINDS)[number];

export interface CollectiveUse {
  /** Time in collectives, waits for other ranks included. */
  readonly seconds: number;
  /** Bytes of the tensors that this rank gave to collectives; a broadcast counts at every rank. */
  readonly bytes: Readonly<Record<CollectiveKind, number>>;
  readonly calls: number;
  /** Of reductions in the background: how long they took, and for how much of that the caller waited. */
  readonly background: { readonly seconds: number; readonly waitedSeconds: number };
}

export const NO_USE: CollectiveUse = {
  seconds: 0,
  bytes: { all_reduce: 0, all_gather: 0, broadcast: 0 },
  calls: 0,
  background: { seconds: 0, waitedSeconds: 0 },
};

export function sumOf(a: CollectiveUse, b: CollectiveUse): CollectiveUse {
  const { background } = a;
  return {
    seconds: a.seconds + b.seconds,
    bytes: {
      all_reduce: a.bytes.all_reduce + b.bytes.all_reduce,
      all_gather: a.bytes.all_gather + b.bytes.all_gather,
      broadcast: a.bytes.broadcast + b.bytes.broadcast,
    },
    calls: a.calls + b.calls,
    background: {
      seconds: background.seconds + b.background.seconds,
      waitedSeconds: background.waitedSeconds + b.background.waitedSeconds,
    },
  };
}

/** A reduction that goes on while the caller computes. */
export interface StartedReduce {
  /** Waits for it; the results have the given tensors' shapes. Once, and then no abandon(). */
  end(): Tensor[];
  /** Gives the result up. It goes on nevertheless, since the other ranks wait for it. */
  abandon(): void;
}

/**
 * One process's place in a group of `size` processes. Every rank makes the same calls in the same
 * order; each but startAllReduce() blocks the calling thread until all ranks have made it. Results are equal on all
 * ranks, bit for bit, and from run to run with the same `size`.
 *
 * A rank that is dead or doesn't answer makes the others' calls throw RankLostError, as does one that comes
 * too late. Then the group is over: every later call throws, too.
 */
export interface Collective {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
  /** The elementwise sum or mean over the ranks, one tensor per given one; float32, same shapes on all ranks. */
  allReduce(tensors: readonly Tensor[], over: 'sum' | 'mean'): Tensor[];
  /**
   * allReduce() of the tensors as a single bucket, in the background: it doesn't wait. All ranks start such
   * reductions in the same order, but may make other calls at other times in between. The tensors may be freed at once.
   * On a GPU it begins with end().
   */
  startAllReduce(bucket: readonly Tensor[], over: 'sum' | 'mean'): StartedReduce;
  /** The ranks' tensors along the first axis, in the order of the ranks; float32 or int32, same shapes. */
  allGather(x: Tensor): Tensor;
  /**
   * The ranks' bytes, in the order of the ranks.
   * @param size any (the default): their lengths may differ, which takes a second collective; equal: they don't
   */
  allGatherBytes(bytes: Uint8Array, size?: 'any' | 'equal'): Uint8Array[];
  /** Rank 0's bytes; the other ranks' argument is ignored. */
  broadcast(bytes: Uint8Array): Uint8Array;
  /** The same where the other ranks know the length: rank 0's bytes replace theirs. Sent in pieces, not copied. */
  broadcastInto(bytes: Uint8Array): void;
  barrier(): void;
  /** What this rank has used since it was last asked. */
  takeUse(): CollectiveUse;
  /** Waits for all ranks, then stops watching them. Doesn't throw if the group is over. */
  close(): void;
}

/** Another rank died, doesn't answer or is late. Exit code 8. */
export class RankLostError extends Error {
  override readonly name = 'RankLostError';
}
