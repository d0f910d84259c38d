/** A SampleSource that runs its jobs in worker threads. */
import type { Worker } from 'node:worker_threads';
import type { Job, SampleSource, SourceConfig } from './sampleSource.js';
import type { FromWorker, ToWorker } from './sampleWorker.js';
import { startThread } from './startThread.js';
import { DataError, type Sample } from './types.js';

/** How long a thread inside a decoder may take to end by itself before it is terminated. */
const STOP_TIMEOUT_MS = 5000;

interface Waiting {
  readonly resolve: (sample: Sample) => void;
  readonly reject: (error: Error) => void;
}

/** One thread and its pending jobs. */
class SampleThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #failure: Error | undefined;
  #nextId = 0;

  constructor(number: number, config: SourceConfig) {
    this.#worker = startThread(import.meta.url, './sampleWorker.ts', config);
    this.#worker.on('message', (message: FromWorker) => this.#settle(message));
    this.#worker.on('error', (error) => {
      this.#fail(
        new DataError(`loader thread ${number} failed: ${error.message}`, { cause: error }),
      );
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#fail(new DataError(`loader thread ${number} ended with code ${code}`));
        resolve();
      });
    });
  }

  run(job: Job): Promise<Sample> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, job } satisfies ToWorker);
    });
  }

  async close(): Promise<void> {
    this.#fail(new Error('the loader is closed'));
    this.#worker.postMessage('stop' satisfies ToWorker);
    const timer = setTimeout(() => void this.#worker.terminate(), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #settle(message: FromWorker): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('sample' in message) waiting?.resolve(message.sample);
    else {
      const { failure, isDataError } = message;
      waiting?.reject(isDataError ? new DataError(failure) : new Error(failure));
    }
  }

  /** Keeps the first failure, because later ones follow from it. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

/** @param threads at least 1. */
export function threadedSource(config: SourceConfig, threads: number): SampleSource {
  const share = { ...config, cacheBytes: Math.floor(config.cacheBytes / threads) };
  const all = Array.from({ length: threads }, (_, number) => new SampleThread(number, share));
  return {
    // A sample always goes to the same thread, so that none is cached twice.
    run: (job) => all[job.index % threads]!.run(job),
    async close() {
      await Promise.all(all.map((thread) => thread.close()));
    },
  };
}
