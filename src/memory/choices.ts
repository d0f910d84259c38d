/**
 * The random choices of the banks, as an interface: training draws them, golden cases supply stored
 * permutations.
 */
import { drawsFor } from '../random/draws.js';

/** Each method returns the first `take` entries of a permutation of 0 … n-1. */
export interface BankChoices {
  /** Selects which of a class's n pixels in an image are enqueued. */
  enqueue(image: number, classNumber: number, n: number, take: number): Int32Array;
  /** Selects which of a class's n rows in the pixel bank are contrasted with. */
  samplePixels(classNumber: number, n: number, take: number): Int32Array;
  /** Selects which of a class's n rows in the region bank are contrasted with. */
  sampleRegions(classNumber: number, n: number, take: number): Int32Array;
}

/** The choices of one forward pass: a pure function of seed, step and micro-batch. */
export function drawnChoices(seed: number, step: number, microBatch: number): BankChoices {
  const enqueue = drawsFor(seed, 'enqueue', step, microBatch);
  // One stream for each bank, so that switching one bank off doesn't change the other's rows.
  const pixels = drawsFor(seed, 'bank_sampling', step, 2 * microBatch);
  const regions = drawsFor(seed, 'bank_sampling', step, 2 * microBatch + 1);
  return {
    enqueue: (_image, _classNumber, n, take) => enqueue.permutation(n, take),
    samplePixels: (_classNumber, n, take) => pixels.permutation(n, take),
    sampleRegions: (_classNumber, n, take) => regions.permutation(n, take),
  };
}
