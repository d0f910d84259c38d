/** Reads whole samples in list order, for evaluation. */
import { type DatasetConfig, openDataset } from './datasets.js';
import { localSource } from './sampleSource.js';
import { threadedSource } from './threadedSource.js';
import type { Sample } from './types.js';

export interface SequentialOptions {
  /** Worker threads; 0: the calling thread. */
  readonly workers: number;
  /** Samples to prefetch beyond the one being awaited. */
  readonly ahead: number;
  /** Maximum number of samples; default: all. */
  readonly limit?: number;
}

export type NumberedSample = Sample & {
  readonly index: number;
  /** The sample's name. */
  readonly sample: string;
};

/**
 * Ends its threads at the end of the list or when the caller leaves the loop.
 *
 * @throws DataError when a sample can't be loaded.
 */
export async function* readSequentially(
  config: DatasetConfig,
  { workers, ahead, limit }: SequentialOptions,
): AsyncGenerator<NumberedSample, void, undefined> {
  const dataset = openDataset(config);
  const sourceConfig = { dataset: config, seed: 0, cacheBytes: 0 };
  const source =
    workers === 0 ? localSource(sourceConfig, dataset) : threadedSource(sourceConfig, workers);
  const count = Math.min(limit ?? dataset.samples.length, dataset.samples.length);
  const pending: Promise<Sample>[] = [];
  let asked = 0;
  try {
    for (let index = 0; index < count; index++) {
      while (asked < count && asked <= index + (workers === 0 ? 0 : ahead)) {
        const sample = source.run({ index: asked++ });
        sample.catch(() => {});
        pending.push(sample);
      }
      yield { ...(await pending.shift()!), index, sample: dataset.samples[index]! };
    }
  } finally {
    await source.close();
  }
}
