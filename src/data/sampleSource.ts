/** Loads samples and makes crops in the calling thread; each worker thread has a source of its own. */
import { drawsFor } from '../random/draws.js';
import { type Augmentation, augment, epochOfDraws } from './augment.js';
import { type DatasetConfig, openDataset } from './datasets.js';
import { DecodedCache } from './decodedCache.js';
import type { Dataset, Sample } from './types.js';

/** Everything that a thread needs, as plain data that can be sent to it. */
export interface SourceConfig {
  readonly dataset: DatasetConfig;
  /** Without it, only whole samples can be loaded. */
  readonly augmentation?: Augmentation;
  readonly seed: number;
  readonly cacheBytes: number;
}

/** A crop of a sample, or the whole sample if no epoch is given. */
export interface Job {
  readonly index: number;
  readonly epoch?: number;
}

/** Runs jobs, in the calling thread or in worker threads. */
export interface SampleSource {
  /** Rejects with DataError. The caller owns every array of the result. */
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
      const draws = drawsFor(seed, 'augmentation', epochOfDraws(augmentation, epoch), index);
      const sample = await decoded(index);
      const { warning } = sample;
      return {
        height: augmentation.cropHeight,
        width: augmentation.cropWidth,
        ...augment(sample, augmentation, draws),
        ...(warning === undefined ? {} : { warning }),
      };
    },
    async close() {},
  };
}
