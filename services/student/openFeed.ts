/** Loader and teacher, joined and running ahead of the training. */
import type { StudentConfig } from '../../src/config/student.js';
import { createLoader } from '../../src/data/loader.js';
import type { Teacher } from '../../src/contract/teacher.js';
import { Feed } from '../../src/train/feed.js';
import { trainingConfig } from './datasetConfigs.js';

export interface OpenFeed {
  readonly feed: Feed;
  close(): Promise<void>;
}

/** `firstStep` counts updates; each takes accumulateSteps batches. */
export function openFeed(
  config: StudentConfig,
  teacher: Teacher | null,
  firstStep: number,
): OpenFeed {
  const { data, train } = config;
  const loader = createLoader({
    dataset: trainingConfig(config),
    augmentation: {
      cropHeight: data.crop.height,
      cropWidth: data.crop.width,
      scaleMin: data.scale.min,
      scaleMax: data.scale.max,
      scaleStep: data.scale.step,
      mirror: data.mirror,
      paddingPixel: data.paddingPixel,
    },
    batchSize: train.batchSize,
    seed: config.seed,
    startStep: firstStep * train.accumulateSteps,
    workers: data.workers,
    prefetchBatches: data.prefetchBatches,
    cacheBytes: data.cacheMiB * 2 ** 20,
  });
  const batches = (train.steps - firstStep) * train.accumulateSteps;
  const prefetchBatches = config.teacher.prefetchSteps * train.accumulateSteps;
  const feed = new Feed(loader, teacher, prefetchBatches, batches);
  return {
    feed,
    async close() {
      feed.close();
      await loader.close();
    },
  };
}
