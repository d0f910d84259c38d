/** Opens the config's datasets, and the feed that training draws on. */
import type { StudentConfig } from '../../src/config/student.js';
import type { Teacher } from '../../src/contract/teacher.js';
import { type DatasetConfig, openDataset } from '../../src/data/datasets.js';
import { createLoader } from '../../src/data/loader.js';
import { type Batch, DataError, type Dataset } from '../../src/data/types.js';
import { availableCores } from '../../src/threads/availableCores.js';
import { Feed } from '../../src/train/feed.js';

export function trainingConfig({ data }: StudentConfig): DatasetConfig {
  const { labels, minConfidence: _, ...dataset } = data.train;
  return { ...dataset, split: 'train', unlabelled: labels === 'teacher' };
}

export function validationConfig({ data }: StudentConfig): DatasetConfig {
  return { ...data.val, split: 'val' };
}

export interface RunData {
  readonly train: Dataset;
  readonly val: Dataset;
}

/** Both at the start, so that a run doesn't train for days before finding data.val missing. Throws DataError. */
export function openRunData(config: StudentConfig): RunData {
  const train = openDataset(trainingConfig(config));
  const val = openDataset(validationConfig(config));
  for (const [key, { samples, name }] of [
    ['data.train', train] as const,
    ['data.val', val] as const,
  ]) {
    if (samples.length === 0)
      throw new DataError(`${key}: ${name}: no sample, wanted at least one`);
  }
  requireSameClasses(train, val);
  return { train, val };
}

export interface OpenFeed {
  readonly feed: Feed;
  close(): Promise<void>;
}

/**
 * Joins loader and teacher and prefetches. `firstStep` counts updates of accumulateSteps batches each.
 *
 * @param onBatch sees each batch when it is loaded
 */
export function openFeed(
  config: StudentConfig,
  teacher: Teacher | null,
  firstStep: number,
  onBatch: (batch: Batch, isLast: boolean) => void = () => {},
): OpenFeed {
  const { data, train, distributed } = config;
  const ranks = Math.max(1, distributed.workers.length);
  const loader = createLoader({
    dataset: trainingConfig(config),
    augmentation: {
      cropHeight: data.crop.height,
      cropWidth: data.crop.width,
      isRandom: data.augmentation === 'random',
      fixedCrops: data.fixedCrops,
      scaleMin: data.scale.min,
      scaleMax: data.scale.max,
      scaleStep: data.scale.step,
      mirror: data.mirror,
      paddingPixel: data.paddingPixel,
    },
    batchSize: train.batchSize,
    share: { rank: distributed.index ?? 0, ranks },
    seed: config.seed,
    startStep: firstStep * train.accumulateSteps,
    workers: loaderThreads(data.workers, distributed.perMachine),
    prefetchBatches: data.prefetchBatches,
    cacheBytes: data.cacheMiB * 2 ** 20,
  });
  const batches = (train.steps - firstStep) * train.accumulateSteps;
  const prefetchBatches = config.teacher.prefetchSteps * train.accumulateSteps;
  let left = batches;
  const source = {
    async next(): Promise<Batch> {
      const batch = await loader.next();
      onBatch(batch, --left === 0);
      return batch;
    },
  };
  const feed = new Feed(source, teacher, prefetchBatches, batches);
  return {
    feed,
    async close() {
      feed.close();
      await loader.close();
    },
  };
}

/** Throws DataError. */
export function requireSameClasses(train: Classed, val: Classed): void {
  if (val.classNames.length !== train.classNames.length) {
    throw new DataError(
      `data.val: ${val.name}: ${val.classNames.length} classes, wanted ${train.classNames.length} as in data.train`,
    );
  }
  const k = val.classNames.findIndex((name, index) => name !== train.classNames[index]);
  if (k >= 0) {
    throw new DataError(
      `data.val: ${val.name}: class ${k} is ${val.classNames[k]}, wanted ${train.classNames[k]} as in data.train`,
    );
  }
}

type Classed = Pick<Dataset, 'name' | 'classNames'>;

/** More than this many loader threads rarely wait for a network's step. */
const MOST_LOADER_THREADS = 4;

/** data.workers, or a number that suits the available cores where it is 0. */
export function loaderThreads(workers: number, perMachine = 1): number {
  const cores = Math.max(1, Math.floor(availableCores() / perMachine));
  return workers > 0 ? workers : Math.min(cores, MOST_LOADER_THREADS);
}
