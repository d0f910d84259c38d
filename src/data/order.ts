/**
 * The order of samples: a sequence of epochs, each with its own permutation. Batches are cut from the
 * sequence without regard to epochs, so none is short and no sample is dropped.
 */
import { drawsFor } from '../random/draws.js';

export interface OrderedSample {
  readonly epoch: number;
  /** Index in the dataset. */
  readonly index: number;
}

/**
 * The sample at a position of the endless sequence. With batch size B, step k takes the positions k · B to
 * k · B + B - 1. Pure; use `sampleOrder` for many consecutive positions.
 */
export function sampleAt(seed: number, sampleCount: number, position: number): OrderedSample {
  return sampleOrder(seed, sampleCount)(position);
}

/** `sampleAt` with the last epoch's permutation cached. */
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
