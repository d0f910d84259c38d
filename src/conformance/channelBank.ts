/** The channel bank in a golden case's state, with the official code's ring wrap and sampling. */
import { ChannelMemoryBank } from '../memory/channelMemoryBank.js';
import { float32Tensor, int32Tensor } from '../wire/safetensors.js';
import type { GoldenCase } from './operation.js';

/** @param positions length of the queue's rows */
export function goldenChannelBank(golden: GoldenCase, positions: number): ChannelMemoryBank {
  const { data, shape } = golden.float32('channel_queue');
  const [size = 0] = shape;
  const bank = new ChannelMemoryBank({
    ...{ size, positions, precision: 'fp32' },
    ...{ ringWrap: 'reference', sampling: 'reference' },
  });
  const pointers = golden.has('channel_ptr') ? golden.int32('channel_ptr').data : new Int32Array(1);
  bank.importState(
    new Map([
      ['channel_queue', float32Tensor(data, [1, ...shape])],
      ['channel_ptr', int32Tensor(pointers, [1])],
      ['channel_fill', int32Tensor(Int32Array.of(size), [1])],
    ]),
  );
  return bank;
}
