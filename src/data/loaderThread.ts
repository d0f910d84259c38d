/** Entry of a loader thread: jobs in, arrays out. */
import { workerData } from 'node:worker_threads';
import { serveCalls } from '../threads/serveCalls.js';
import { localSource, type SourceConfig } from './sampleSource.js';
import { loaderThread } from './threadedSource.js';

serveCalls(loaderThread('a loader thread'), localSource(workerData as SourceConfig));
