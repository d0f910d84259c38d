/** Entry of a store's threads: one reads, another writes. */
import { workerData } from 'node:worker_threads';
import { serveCalls } from '../../threads/serveCalls.js';
import { DiskStore } from './diskStore.js';
import { STORE, type StoreSetup } from './storeService.js';

const { directory, maxBytes } = workerData as StoreSetup;

serveCalls(STORE, new DiskStore(directory, maxBytes));
