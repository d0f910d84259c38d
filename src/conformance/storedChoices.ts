/** Replaces the memory banks' random choices by a golden case's stored permutations. */
import type { ChannelChoices } from '../memory/channelMemoryBank.js';
import type { BankChoices } from '../memory/choices.js';
import { type GoldenCase, GoldenError } from './operation.js';

/** `prefix` goes before `enqueue_perm/<image>/<class>`, `pixel_perm` and `region_perm`. */
export function storedChoices(golden: GoldenCase, prefix = ''): BankChoices {
  const first = (key: string, n: number, take: number) =>
    storedPermutation(golden, `${prefix}${key}`, n, take);
  return {
    enqueue: (image, classNumber, n, take) =>
      first(`enqueue_perm/${image}/${classNumber}`, n, take),
    samplePixels: (_classNumber, n, take) => first('pixel_perm', n, take),
    sampleRegions: (_classNumber, n, take) => first('region_perm', n, take),
  };
}

/** From `enqueue_perm` and `queue_perm`. */
export function storedChannelChoices(golden: GoldenCase): ChannelChoices {
  return {
    enqueueChannels: (n, take) => storedPermutation(golden, 'enqueue_perm', n, take),
    sampleChannels: (n, take) => storedPermutation(golden, 'queue_perm', n, take),
  };
}

function storedPermutation(golden: GoldenCase, key: string, n: number, take: number): Int32Array {
  const { data } = golden.int32(key);
  if (data.length !== n) {
    throw new GoldenError(`${golden.name}: ${key}: ${data.length} entries are stored, wanted ${n}`);
  }
  return data.subarray(0, take);
}
