/** Loads batches of augmented crops, in order, prefetched by worker threads. */
import { drawSeed64 } from '../random/draws.js';
import { type Augmentation, epochOfDraws } from './augment.js';
import { type DatasetConfig, openDataset } from './datasets.js';
import { sampleOrder } from './order.js';
import { localSource } from './sampleSource.js';
import { threadedSource } from './threadedSource.js';
import type { Batch, Crop, Dataset } from './types.js';

export interface LoaderConfig {
  readonly dataset: DatasetConfig;
  readonly augmentation: Augmentation;
  /** Crops per batch. */
  readonly batchSize: number;
  readonly seed: number;
  /** Of each batch only the `rank`-th of `ranks` equal parts is loaded; absent: all of it. */
  readonly share?: { readonly rank: number; readonly ranks: number };
  /** Number of the first batch that next() returns. Skipping earlier ones costs nothing. */
  readonly startStep: number;
  /** Worker threads; 0: prepare each batch in the calling thread, without prefetching. */
  readonly workers: number;
  /** Batches to prefetch beyond the one being awaited. */
  readonly prefetchBatches: number;
  /** Limit of the decoded-sample caches of all threads together; 0: no cache. */
  readonly cacheBytes: number;
}

export interface Loader {
  readonly dataset: Dataset;
  /**
   * The next batch. Its content is a pure function of (dataset, augmentation, batchSize, seed, step):
   * threads, prefetch, cache and startStep don't change a byte.
   *
   * @throws DataError when a sample can't be loaded or a thread ends. Every later call then rejects with
   *   the same error; only close() remains useful.
   */
  next(): Promise<Batch>;
  /** Ends the threads and rejects batches that are being awaited. next() then throws. */
  close(): Promise<void>;
}

/** @throws RangeError naming the field (`share`: if the parts wouldn't be equal), DataError when the dataset can't be opened. */
export function createLoader(config: LoaderConfig): Loader {
  checkAll(config);
  const [ownBegin, ownEnd] = ownCrops(config);
  const dataset = openDataset(config.dataset);
  const { workers } = config;
  const source = workers === 0 ? localSource(config, dataset) : threadedSource(config, workers);
  const order = sampleOrder(config.seed, dataset.samples.length);
  // Without threads, prefetching would only block the caller.
  const ahead = workers === 0 ? 0 : config.prefetchBatches;
  const pending: Promise<Batch>[] = [];
  let nextStep = config.startStep;
  let failure: Error | undefined;
  let closing: Promise<void> | undefined;

  async function crop(position: number): Promise<Crop> {
    const { epoch, index } = order(position);
    const augmentationSeed = cropSeed(config, epoch, index);
    const { height: _h, width: _w, ...made } = await source.run({ index, epoch });
    return { sample: dataset.samples[index]!, augmentationSeed, ...made };
  }

  async function prepare(step: number): Promise<Batch> {
    const first = step * config.batchSize;
    const positions = Array.from({ length: config.batchSize }, (_, i) => first + i);
    const samples = positions.map((position) => dataset.samples[order(position).index]!);
    const crops = await Promise.all(positions.slice(ownBegin, ownEnd).map(crop));
    const { cropHeight: height, cropWidth: width } = config.augmentation;
    return { step, height, width, samples, crops };
  }

  function fill(batches: number): void {
    while (pending.length < batches) {
      const batch = prepare(nextStep++);
      // The error surfaces when the batch is awaited; until then it must not count as unhandled.
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

/** First and last (exclusive) of the crops in a batch that are this rank's. */
function ownCrops({ batchSize, share }: LoaderConfig): [number, number] {
  const { rank, ranks } = share ?? { rank: 0, ranks: 1 };
  const crops = batchSize / ranks;
  if (!Number.isInteger(crops) || rank >= ranks) {
    throw new RangeError(`share: ${rank} of ${ranks} given, the batch has ${batchSize} crops`);
  }
  return [rank * crops, (rank + 1) * crops];
}

function cropSeed({ seed, augmentation }: LoaderConfig, epoch: number, index: number): bigint {
  return drawSeed64(seed, 'augmentation', epochOfDraws(augmentation, epoch), index);
}

function checkAll(config: LoaderConfig): void {
  check(config, 'batchSize', 1);
  for (const field of ['startStep', 'workers', 'prefetchBatches', 'cacheBytes'] as const) {
    check(config, field, 0);
  }
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
