/**
 * Ranks in one process, for tests of code that gathers: each rank's run is repeated with what the others gave in the run
 * before, until nothing changes any more, so that all have seen one another's.
 */
import type { Collective } from '../../../src/collectives/collective.js';
import { singleProcess } from '../../../src/collectives/single.js';
import { float32, ops, readFloat32, scope, type Tensor } from '../../../src/tensor/index.js';

type Given = Float32Array | Uint8Array;

/**
 * @param exchanges how often a run gathers at most; each depends on those before it
 * @param run repeatable: builds all that it changes
 * @returns the last result of every rank
 * @throws Error if the runs still differ; and what a run throws
 */
export function inLockstep<T>(
  size: number,
  exchanges: number,
  run: (rank: number, group: Collective) => T,
): T[] {
  let given: Given[][] = Array.from({ length: size }, () => []);
  for (let round = 0; round <= exchanges; round++) {
    const next: Given[][] = Array.from({ length: size }, () => []);
    // What isn't known yet may not fit, so an error counts only when nothing changes any more.
    const errors: unknown[] = [];
    const results = Array.from({ length: size }, (_, rank) => {
      try {
        return scope(() => run(rank, groupOf({ rank, size }, given, next)));
      } catch (error) {
        errors.push(error);
        return null;
      }
    });
    if (areSame(given, next)) {
      if (errors.length > 0) throw errors[0];
      return results as T[];
    }
    given = next;
  }
  throw new Error(`more than ${exchanges} exchanges that depend on one another`);
}

function groupOf(
  { rank, size }: { readonly rank: number; readonly size: number },
  given: readonly (readonly Given[])[],
  next: Given[][],
): Collective {
  /** What every rank gave in the same call; a rank's own while the others' isn't known. */
  const exchange = <Values extends Given>(own: Values): Values[] => {
    const call = next[rank]!.length;
    next[rank]!.push(own);
    return given.map((ofRank, other) =>
      other === rank ? own : ((ofRank[call] as Values | undefined) ?? own),
    );
  };
  const unknown = () => {
    throw new Error('lockstep: only gathers are played');
  };
  return {
    ...{ ...singleProcess, rank, size },
    ...{ allReduce: unknown, startAllReduce: unknown, broadcast: unknown, barrier: unknown },
    allGather: (x: Tensor) =>
      scope(() => {
        const parts = exchange(readFloat32(x).slice());
        return ops.concat(
          parts.map((part) => float32(part.slice(), x.shape)),
          0,
        );
      }),
    allGatherBytes: (bytes) => exchange(bytes.slice()).map((part) => part.slice()),
  };
}

function areSame(a: readonly (readonly Given[])[], b: readonly (readonly Given[])[]): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Given) =>
    Buffer.from(buffer, byteOffset, byteLength);
  return a.every(
    (ofRank, rank) =>
      ofRank.length === b[rank]!.length &&
      ofRank.every((each, i) => bytes(each).equals(bytes(b[rank]![i]!))),
  );
}
