/** Reads every sample of a dataset once, in worker threads, and goes past those that can't be read. */
import { startThread } from '../../threads/startThread.js';
import { ThreadCalls } from '../../threads/threadCalls.js';
import type { ThreadService } from '../../threads/threadService.js';
import { type DatasetConfig, openDataset } from '../datasets.js';
import { DataError } from '../types.js';
import { DataCounts } from './dataCounts.js';
import type { Inspection } from './inspection.js';

/** Calls per thread: the next one waits in the thread while the last one's result is on its way. */
const CALLS_PER_THREAD = 2;
/** A thread that is inside a decoder gets this long to end by itself. */
const STOP_LIMIT_MS = 5000;

interface InspectionCalls {
  readonly inspect: (index: number) => Promise<Inspection>;
}

export function inspectionService(thread: string): ThreadService<InspectionCalls> {
  return { thread, calls: { inspect: {} }, errors: [DataError] };
}

export interface InspectOptions {
  /** At least 1. */
  readonly threads: number;
  /** Called after each sample, broken or not. */
  readonly onSample?: (done: number, total: number) => void;
}

/**
 * Missing files, and lines of a list that are wrong, are faults of their samples like broken files.
 *
 * @throws DataError when the dataset can't be opened at all: no folder, no list, a wrong class table.
 */
export async function inspectDataset(
  given: DatasetConfig,
  { threads, onSample }: InspectOptions,
): Promise<DataCounts> {
  const config = { ...given, tolerant: true };
  const dataset = openDataset(config);
  const total = dataset.samples.length;
  const counts = new DataCounts(dataset);
  const workers = Array.from({ length: Math.min(threads, total) }, (_, k) => {
    const worker = startThread(import.meta.url, './inspectionThread.ts', config);
    return new ThreadCalls(worker, inspectionService(`inspecting thread ${k}`));
  });
  let next = 0;
  let done = 0;
  const work = async ({ call }: (typeof workers)[number]) => {
    while (next < total) {
      const index = next++;
      try {
        counts.add(index, await call.inspect(index));
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        counts.addFault(index, error.message);
      }
      onSample?.(++done, total);
    }
  };
  try {
    const lanes = workers.flatMap((worker) => Array(CALLS_PER_THREAD).fill(worker));
    await Promise.all(lanes.map(work));
    return counts;
  } finally {
    await Promise.all(workers.map((worker) => worker.finish(STOP_LIMIT_MS)));
  }
}
