/**
 * The teacher's channels as unit rows over positions, a single queue (CIRKD's second version,
 * "CIRKDv2"). The rows' length is the number of positions after pooling, so all batches of a run need
 * crops of one size.
 */
import { type BankOptions, MemoryBank, type SampledRows } from './memoryBank.js';

/** Each method returns the first `take` entries of a permutation of 0 … n-1. */
export interface ChannelChoices {
  /** Selects which of a batch's n channels are enqueued. */
  enqueueChannels(n: number, take: number): Int32Array;
  /** Selects which of the bank's n rows are contrasted with. */
  sampleChannels(n: number, take: number): Int32Array;
}

/** `channels` of the base is the length of a row. */
export interface ChannelBankOptions extends Omit<BankOptions, 'classes' | 'channels'> {
  readonly positions: number;
}

export class ChannelMemoryBank extends MemoryBank {
  constructor({ positions, ...options }: ChannelBankOptions) {
    super('channel', { ...options, classes: 1, channels: positions });
  }

  /** Up to `wanted` rows. */
  sample(wanted: number, choices: ChannelChoices): SampledRows {
    return this.sampleRows(wanted, (_, n, take) => choices.sampleChannels(n, take));
  }
}
