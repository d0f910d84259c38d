/** A SampleSource whose work is done by worker threads. */
import { startThread } from '../threads/startThread.js';
import { ThreadCalls, ThreadEndedError } from '../threads/threadCalls.js';
import type { ThreadService } from '../threads/threadService.js';
import type { SampleSource, SourceConfig } from './sampleSource.js';
import { DataError } from './types.js';

/** A thread that is inside a decoder gets this long to end by itself. */
const STOP_LIMIT_MS = 5000;

export type LoaderCalls = Pick<SampleSource, 'run'>;

export function loaderThread(thread: string): ThreadService<LoaderCalls> {
  return {
    thread,
    calls: {
      run: { result: ({ rgb, labels }) => [rgb, labels].map((a) => a.buffer as ArrayBuffer) },
    },
    errors: [DataError],
  };
}

/** @param threads at least 1. */
export function threadedSource(config: SourceConfig, threads: number): SampleSource {
  const share = { ...config, cacheBytes: Math.floor(config.cacheBytes / threads) };
  const all = Array.from({ length: threads }, (_, number) => {
    const service = loaderThread(`loader thread ${number}`);
    const worker = startThread(import.meta.url, './loaderThread.ts', share);
    const deathError = (cause: Error) => {
      const hasEnded = cause instanceof ThreadEndedError;
      const message = hasEnded ? cause.message : `${service.thread} failed: ${cause.message}`;
      return new DataError(message, { cause });
    };
    return new ThreadCalls(worker, service, { deathError });
  });
  return {
    // A sample always goes to the same thread: so none is cached twice.
    run: (job) => all[job.index % threads]!.call.run(job),
    async close() {
      await Promise.all(all.map((thread) => thread.finish(STOP_LIMIT_MS)));
    },
  };
}
