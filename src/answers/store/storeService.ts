/** The calls to a store's threads. */
import type { ThreadService } from '../../threads/threadService.js';
import type { StoreRead, StoreWrite } from './diskStore.js';

export interface StoreCalls {
  /** Does nothing: it is answered when the thread has started. */
  ready(): Promise<void>;
  read(key: string): Promise<StoreRead>;
  write(key: string, packed: Uint8Array<ArrayBuffer>): Promise<StoreWrite>;
  remove(key: string): Promise<void>;
  sweep(): Promise<StoreWrite>;
}

/** What a thread is started with. */
export interface StoreSetup {
  readonly directory: string;
  readonly maxBytes: number;
}

export const STORE: ThreadService<StoreCalls> = {
  thread: "the store's thread",
  calls: {
    ready: {},
    read: {
      result: (read) => (read.kind === 'found' ? read.outputs.map((o) => o.tensor.data) : []),
    },
    write: { given: (_key, packed) => [packed.buffer] },
    remove: {},
    sweep: {},
  },
  errors: [],
};
