/** How large the memory banks of a run may be. */
import { DTYPE_BYTES } from '../wire/safetensors.js';
import type { BankOptions } from './memoryBank.js';
import { ROW_DTYPE } from './rowStore.js';

/**
 * A checkpoint has all banks in one file, which is read into one typed array, and Node.js 20 ends those at 4 GiB. The
 * rest is for the file's header and the rings.
 */
export const MOST_BANK_BYTES = 2 ** 32 - 2 ** 24;

export function bankBytes({
  classes,
  size,
  channels,
  precision,
}: Pick<BankOptions, 'classes' | 'size' | 'channels' | 'precision'>): number {
  return classes * size * channels * DTYPE_BYTES[ROW_DTYPE[precision]];
}
