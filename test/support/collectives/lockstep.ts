/**
 * Ranks in one process, for tests of code that calls allGather: each rank's run is repeated with the tensors
 * that the others gave in the run before, until all of them have seen one another's.
 */
import {
  float32,
  ops,
  type RankGroup,
  readFloat32,
  scope,
  type Tensor,
} from '../../../src/tensor/index.js';

/**
 * @param gathers how often a run calls allGather at most; each depends on those before it
 * @returns the last result of every rank
 */
export function inLockstep<T>(
  size: number,
  gathers: number,
  run: (rank: number, ranks: RankGroup) => T,
): T[] {
  let given: Float32Array[][] = Array.from({ length: size }, () => []);
  let results: T[] = [];
  for (let round = 0; round <= gathers; round++) {
    const next: Float32Array[][] = Array.from({ length: size }, () => []);
    results = Array.from({ length: size }, (_, rank) =>
      scope(() => run(rank, { size, allGather: (x) => gathered(x, rank, given, next) })),
    );
    given = next;
  }
  return results;
}

function gathered(
  x: Tensor,
  rank: number,
  given: readonly (readonly Float32Array[])[],
  next: Float32Array[][],
): Tensor {
  const call = next[rank]!.length;
  const own = readFloat32(x).slice();
  next[rank]!.push(own);
  const parts = given.map((ofRank, other) =>
    float32(other === rank ? own.slice() : (ofRank[call] ?? own).slice(), x.shape),
  );
  return ops.concat(parts, 0);
}
