/** Entry of a loader thread: processes jobs one by one until it gets 'stop'. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Job, localSource, type SourceConfig } from './sampleSource.js';
import { computeInBackground } from './threadPriority.js';
import { DataError, type Sample } from './types.js';

export type ToWorker = { readonly id: number; readonly job: Job } | 'stop';

export type FromWorker =
  | { readonly id: number; readonly sample: Sample }
  | { readonly id: number; readonly failure: string; readonly isDataError: boolean };

if (!parentPort) throw new Error('sampleWorker runs in a worker thread only');
const port = parentPort;
computeInBackground();
const source = localSource(workerData as SourceConfig);
let stopped = false;
let previous = Promise.resolve();

async function run(id: number, job: Job): Promise<void> {
  if (stopped) return;
  try {
    const sample = await source.run(job);
    const reply: FromWorker = { id, sample };
    port.postMessage(reply, [
      sample.rgb.buffer as ArrayBuffer,
      sample.labels.buffer as ArrayBuffer,
    ]);
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    const reply: FromWorker = { id, failure, isDataError: error instanceof DataError };
    port.postMessage(reply);
  }
}

port.on('message', (message: ToWorker) => {
  if (message === 'stop') {
    stopped = true;
    // Not process.exit(): a decoder thread of sharp may still be writing to this thread's memory.
    previous = previous.then(() => port.close());
  } else {
    previous = previous.then(() => run(message.id, message.job));
  }
});
