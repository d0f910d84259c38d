/** Batches of augmented crops, in order, prepared ahead by worker threads. */
import { drawSeed64 } from '../random/draws.js';
import type { Augmentation } from './augment.js';
import { type DatasetConfig, openDataset } from './datasets.js';
import { sampleOrder } from './order.js';
import { localSource } from './sampleSource.js';
import { threadedSource } from './threadedSource.js';
import type { Batch, Crop, Dataset } from './types.js';

export interface LoaderConfig {
  readonly dataset: DatasetConfig;
  readonly augmentation: Augmentation;
  /** Crops. */
  readonly batchSize: number;
  readonly seed: number;
  /** The first batch that next() gives; earlier ones cost nothing. */
  readonly startStep: number;
  /** Threads; 0: work in the calling thread, when asked. */
  readonly workers: number;
  /** Batches in preparation beyond the one being waited for. */
  readonly prefetchBatches: number;
  /** Limit of decoded samples kept, all threads together; 0: none. */
  readonly cacheBytes: number;
}

export interface Loader {
  readonly dataset: Dataset;
  /**
   * The next batch. What it holds is a pure function of (dataset, augmentation, batchSize, seed,
   * step): threads, prefetch, cache and startStep change no byte.
   *
   * @throws DataError when a sample can't be loaded or a thread ends; the loader is then of no more
   *   use, except to close it.
   */
  next(): Promise<Batch>;
  /** Ends the threads; a batch that is being waited for is rejected. */
  close(): Promise<void>;
}

/** @throws RangeError naming the field, DataError when the dataset can't be opened. */
export function createLoader(config: LoaderConfig): Loader {
  check(config, 'batchSize', 1);
  for (const field of ['startStep', 'workers', 'prefetchBatches', 'cacheBytes'] as const) {
    check(config, field, 0);
  }
  const dataset = openDataset(config.dataset);
  const { workers } = config;
  const source = workers === 0 ? localSource(config, dataset) : threadedSource(config, workers);
  const order = sampleOrder(config.seed, dataset.samples.length);
  // Without threads, preparing ahead would only hold up the caller.
  const ahead = workers === 0 ? 0 : config.prefetchBatches;
  const pending: Promise<Batch>[] = [];
  let nextStep = config.startStep;
  let failure: Error | undefined;
  let closing: Promise<void> | undefined;

  async function crop(position: number): Promise<Crop> {
    const { epoch, index } = order(position);
    const augmentationSeed = drawSeed64(config.seed, 'augmentation', epoch, index);
    const { rgb, labels } = await source.run({ index, epoch });
    return { sample: dataset.samples[index]!, augmentationSeed, rgb, labels };
  }

  async function prepare(step: number): Promise<Batch> {
    const first = step * config.batchSize;
    const positions = Array.from({ length: config.batchSize }, (_, i) => first + i);
    const crops = await Promise.all(positions.map(crop));
    const { cropHeight: height, cropWidth: width } = config.augmentation;
    return { step, height, width, crops };
  }

  function fill(batches: number): void {
    while (pending.length < batches) {
      const batch = prepare(nextStep++);
      // Whoever awaits it gets the error; until then it isn't an unhandled one.
      batch.catch(() => {});
      pending.push(batch);
    }
  }

  fill(ahead);
  return {
    dataset,
    async next() {
      if (closing) throw new Error('the loader is closed');
      if (failure) throw failure;
      fill(ahead + 1);
      try {
        return await pending.shift()!;
      } catch (error) {
        failure = closing ? new Error('the loader is closed') : (error as Error);
        throw failure;
      }
    },
    close() {
      closing ??= source.close();
      return closing;
    },
  };
}

function check(
  config: LoaderConfig,
  field: 'batchSize' | 'startStep' | 'workers' | 'prefetchBatches' | 'cacheBytes',
  least: number,
): void {
  if (!Number.isSafeInteger(config[field]) || config[field] < least) {
    throw new RangeError(`${field}: got ${config[field]}, wanted an integer of at least ${least}`);
  }
}
