/** Loads samples and cuts crops in the thread that calls it; a worker thread runs one of its own. */
import { drawsFor } from '../random/draws.js';
import { type Augmentation, augment } from './augment.js';
import { type DatasetConfig, openDataset } from './datasets.js';
import { DecodedCache } from './decodedCache.js';
import type { Dataset, Sample } from './types.js';

/** All that a thread needs to know; plain, so that it can be sent. */
export interface SourceConfig {
  readonly dataset: DatasetConfig;
  /** Absent: whole samples only. */
  readonly augmentation?: Augmentation;
  readonly seed: number;
  readonly cacheBytes: number;
}

/** One crop of one sample, or the sample itself where no epoch is given. */
export interface Job {
  readonly index: number;
  readonly epoch?: number;
}

/** Where jobs are done: here, or in worker threads. */
export interface SampleSource {
  /** Rejects with DataError. Every array in the result belongs to the caller. */
  run(job: Job): Promise<Sample>;
  close(): Promise<void>;
}

export function localSource(
  config: SourceConfig,
  dataset: Dataset = openDataset(config.dataset),
): SampleSource {
  const cache = new DecodedCache(config.cacheBytes);

  async function decoded(index: number): Promise<Sample> {
    const kept = cache.get(index);
    if (kept) return kept;
    const sample = await dataset.load(index);
    cache.offer(index, sample);
    return sample;
  }

  return {
    async run({ index, epoch }) {
      const { augmentation, seed } = config;
      if (epoch === undefined) return dataset.load(index);
      if (!augmentation) throw new TypeError('a crop was asked for without an augmentation');
      const draws = drawsFor(seed, 'augmentation', epoch, index);
      const crop = augment(await decoded(index), augmentation, draws);
      return { height: augmentation.cropHeight, width: augmentation.cropWidth, ...crop };
    },
    async close() {},
  };
}
