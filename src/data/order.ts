/**
 * Which sample comes when: epochs, each a permutation of its own, laid end to end. Batches are cut
 * from that line without regard to epochs, so none is short and no sample is dropped.
 */
import { drawsFor } from '../random/draws.js';

export interface OrderedSample {
  readonly epoch: number;
  /** Index in the dataset. */
  readonly index: number;
}

/**
 * The sample at a position of the endless line. Step k of batch size B takes the positions
 * k · B to k · B + B - 1. Pure; `sampleOrder` is the same for many positions in a row.
 */
export function sampleAt(seed: number, sampleCount: number, position: number): OrderedSample {
  return sampleOrder(seed, sampleCount)(position);
}

/** `sampleAt` that keeps the permutation of the epoch it was last asked for. */
export function sampleOrder(
  seed: number,
  sampleCount: number,
): (position: number) => OrderedSample {
  if (!Number.isInteger(sampleCount) || sampleCount < 1) {
    throw new RangeError(`sampleCount: got ${sampleCount}, wanted a positive integer`);
  }
  let permutationEpoch = -1;
  let permutation = new Int32Array(0);
  return (position) => {
    const epoch = Math.floor(position / sampleCount);
    if (epoch !== permutationEpoch) {
      permutation = drawsFor(seed, 'order', epoch).permutation(
        sampleCount,
      ) as Int32Array<ArrayBuffer>;
      permutationEpoch = epoch;
    }
    return { epoch, index: permutation[position % sampleCount]! };
  };
}
