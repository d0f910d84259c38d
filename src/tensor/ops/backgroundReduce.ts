/**
 * All-reduces on a thread of the addon's own, one after the other, while the calling thread computes; CPU only
 * (../native/backgroundReduce.cc).
 */
import { device } from '../binding.js';
import { int32, readFloat32 } from '../create.js';
import { executeAll } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';
import { type CollectiveCall, GROUP_KEY } from './collective.js';

export interface EndedReduce {
  readonly reduced: Tensor;
  /** Of the collective itself, waits for other processes included. */
  readonly seconds: number;
}

/** Whether startReduce() is possible. */
export function canReduceInBackground(): boolean {
  return device() === 'cpu';
}

/** Each process starts its reductions in one and the same order. @param ticket a new number, for endReduce() */
export function startReduce(
  x: Tensor,
  over: 'sum' | 'mean',
  { size, instanceKey }: CollectiveCall,
  ticket: number,
): void {
  scope(() => {
    const numbers = [ticket, size, GROUP_KEY, instanceKey, over === 'mean' ? 1 : 0];
    executeAll('CirkdReduceStart', [x, int32(numbers, [numbers.length])], [], 0);
  });
}

/** Waits for it. Throws if it failed. */
export function endReduce(ticket: number): EndedReduce {
  return scope(() => {
    const outputs = executeAll('CirkdReduceEnd', [int32([ticket], [1])], [], 2);
    const [reduced, seconds] = outputs as [Tensor, Tensor];
    return { reduced, seconds: readFloat32(seconds)[0]! };
  });
}

/** Instead of endReduce(): it runs to its end nevertheless, as the other processes wait for it. */
export function forgetReduce(ticket: number): void {
  scope(() => {
    executeAll('CirkdReduceForget', [int32([ticket], [1])], [], 0);
  });
}
