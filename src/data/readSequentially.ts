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
  /** Only every `ranks`-th sample, from number `rank` on; default: every sample. */
  readonly share?: { readonly rank: number; readonly ranks: number };
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
  { workers, ahead, limit, share = { rank: 0, ranks: 1 } }: SequentialOptions,
): AsyncGenerator<NumberedSample, void, undefined> {
  const dataset = openDataset(config);
  const sourceConfig = { dataset: config, seed: 0, cacheBytes: 0 };
  const source =
    workers === 0 ? localSource(sourceConfig, dataset) : threadedSource(sourceConfig, workers);
  const end = Math.min(limit ?? dataset.samples.length, dataset.samples.length);
  const count = Math.max(0, Math.ceil((end - share.rank) / share.ranks));
  const indexOf = (place: number) => share.rank + place * share.ranks;
  const pending: Promise<Sample>[] = [];
  let asked = 0;
  try {
    for (let place = 0; place < count; place++) {
      while (asked < count && asked <= place + (workers === 0 ? 0 : ahead)) {
        const sample = source.run({ index: indexOf(asked++) });
        sample.catch(() => {});
        pending.push(sample);
      }
      const index = indexOf(place);
      yield { ...(await pending.shift()!), index, sample: dataset.samples[index]! };
    }
  } finally {
    await source.close();
  }
}
