/** The group of a single process: every result is what was given. */
import type { Tensor } from '../tensor/index.js';
import { type Collective, NO_USE } from './collective.js';

export const singleProcess: Collective = {
  rank: 0,
  size: 1,
  allReduce: (tensors: readonly Tensor[]) => [...tensors],
  startAllReduce: (bucket) => ({ end: () => [...bucket], abandon() {} }),
  allGather: (x) => x,
  allGatherBytes: (bytes) => [bytes],
  broadcast: (bytes) => bytes,
  broadcastInto() {},
  barrier() {},
  takeUse: () => NO_USE,
  close() {},
};
