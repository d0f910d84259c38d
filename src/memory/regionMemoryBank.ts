/** Mean embeddings of a class in one image, one queue per class (CIRKD, CVPR 2022, section 3.3). */
import type { BankChoices } from './choices.js';
import { type BankOptions, MemoryBank, type SampledRows } from './memoryBank.js';

export class RegionMemoryBank extends MemoryBank {
  constructor(options: BankOptions) {
    super('region', options);
  }

  /** Up to `wanted` rows of each class. */
  sample(wanted: number, choices: BankChoices): SampledRows {
    return this.sampleRows(wanted, (c, n, take) => choices.sampleRegions(c, n, take));
  }
}
