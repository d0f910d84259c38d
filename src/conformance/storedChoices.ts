/** Replaces the memory banks' random choices by a golden case's stored permutations. */
import type { BankChoices } from '../memory/choices.js';
import { type GoldenCase, GoldenError } from './operation.js';

/** `prefix` goes before `enqueue_perm/<image>/<class>`, `pixel_perm` and `region_perm`. */
export function storedChoices(golden: GoldenCase, prefix = ''): BankChoices {
  const first = (key: string, n: number, take: number): Int32Array => {
    const { data } = golden.int32(`${prefix}${key}`);
    if (data.length !== n) {
      throw new GoldenError(
        `${golden.name}: ${prefix}${key}: ${data.length} entries are stored, wanted ${n}`,
      );
    }
    return data.subarray(0, take);
  };
  return {
    enqueue: (image, classNumber, n, take) =>
      first(`enqueue_perm/${image}/${classNumber}`, n, take),
    samplePixels: (_classNumber, n, take) => first('pixel_perm', n, take),
    sampleRegions: (_classNumber, n, take) => first('region_perm', n, take),
  };
}
