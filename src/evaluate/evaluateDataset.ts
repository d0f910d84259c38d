/** The score of a network on a dataset, image by image at full size. */
import type { Dataset, Sample } from '../data/types.js';
import { DataError } from '../data/types.js';
import { scope } from '../tensor/index.js';
import { imageSizeLogits, type Segmenter } from './predict.js';
import { type MetricScores, SegmentationMetric } from './segmentationMetric.js';

export interface EvaluateOptions {
  /** Only the first so many samples. */
  readonly limit?: number;
  /** Called after each image, with its predictions at full size. */
  readonly onSample?: (evaluated: EvaluatedSample) => void | Promise<void>;
  /** Checked before each image; its reason is thrown. */
  readonly signal?: AbortSignal;
}

export interface EvaluatedSample {
  readonly index: number;
  /** Number of samples that will be evaluated. */
  readonly total: number;
  readonly name: string;
  readonly sample: Sample;
  readonly prediction: Int32Array;
}

/**
 * Throws DataError if the dataset has other classes than the network, or no sample. The next image
 * is decoded while the present one is computed.
 */
export async function evaluateDataset(
  segmenter: Segmenter,
  dataset: Dataset,
  { limit, onSample, signal }: EvaluateOptions = {},
): Promise<MetricScores> {
  const total = Math.min(dataset.samples.length, limit ?? Infinity);
  checkDataset(segmenter, dataset, total);
  const metric = new SegmentationMetric(segmenter.classes);
  let next = load(dataset, 0);
  for (let index = 0; index < total; index++) {
    signal?.throwIfAborted();
    const sample = await next;
    if (index + 1 < total) next = load(dataset, index + 1);
    const prediction = scope(() => metric.add(imageSizeLogits(segmenter, sample), sample.labels));
    const name = dataset.samples[index]!;
    await onSample?.({ index, total, name, sample, prediction });
  }
  return metric.scores();
}

/** A failure shows when the sample is awaited, not as an unhandled rejection before. */
function load(dataset: Dataset, index: number): Promise<Sample> {
  const loading = dataset.load(index);
  loading.catch(() => {});
  return loading;
}

function checkDataset(segmenter: Segmenter, dataset: Dataset, total: number): void {
  if (total === 0) throw new DataError(`${dataset.name}: no samples to evaluate`);
  if (dataset.classNames.length !== segmenter.classes) {
    throw new DataError(
      `${dataset.name}: ${dataset.classNames.length} classes, the network has ${segmenter.classes}`,
    );
  }
}
