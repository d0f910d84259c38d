/** Embeddings of single pixels, one queue per class (CIRKD, CVPR 2022, section 3.3). */
import type { BankChoices } from './choices.js';
import { type BankOptions, MemoryBank, type SampledRows } from './memoryBank.js';

/** class: pixels of the class. reference: the official code's defect, see `choosePixels`. */
export type PixelEnqueue = 'class' | 'reference';

export class PixelMemoryBank extends MemoryBank {
  constructor(options: BankOptions) {
    super('pixel', options);
  }

  /** Up to `wanted` rows of each class. */
  sample(wanted: number, choices: BankChoices): SampledRows {
    return this.sampleRows(wanted, (c, n, take) => choices.samplePixels(c, n, take));
  }
}

/**
 * The positions in an image whose embeddings enter a class's queue: those of the class's own
 * positions `ids` that the permutation selects. The official code uses the permutation's entries as
 * positions in the whole image, so that mostly pixels of other classes are enqueued.
 */
export function choosePixels(
  ids: Int32Array,
  permutation: Int32Array,
  enqueue: PixelEnqueue,
): Int32Array {
  return enqueue === 'class' ? permutation.map((i) => ids[i]!) : permutation;
}
