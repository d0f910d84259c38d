/**
 * The random choices of the banks, as an interface: training draws them, golden cases bring stored
 * permutations.
 */
import { drawsFor } from '../random/draws.js';

/** Each call gives the first `take` entries of a permutation of 0 … n-1. */
export interface BankChoices {
  /** Which of the n pixels of a class of an image are enqueued. */
  enqueue(image: number, classNumber: number, n: number, take: number): Int32Array;
  /** Which of the n pixel rows of a class are contrasted with. */
  samplePixels(classNumber: number, n: number, take: number): Int32Array;
  /** Which of the n region rows of a class are contrasted with. */
  sampleRegions(classNumber: number, n: number, take: number): Int32Array;
}

/** The choices of one forward pass: a pure function of the seed and the pass's number. */
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
