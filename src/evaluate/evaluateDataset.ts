/** Scores a network on a dataset, image by image at the labels' size. */
import type { Dataset, Sample } from '../data/types.js';
import { DataError, UNLABELLED } from '../data/types.js';
import type { RemoteSegmenter } from './predict.js';
import { type MetricScores, SegmentationMetric } from './segmentationMetric.js';
import { readViewLogits } from './viewLogits.js';
import { PLAIN_VIEW, type Views } from './views.js';

export interface EvaluateOptions {
  /** Evaluate only this many samples from the start; default: all. */
  readonly limit?: number;
  /** Scales, mirroring and windows; default: each whole image once. */
  readonly views?: Views;
  /** Called after each image, with its predictions at full size. */
  readonly onSample?: (evaluated: EvaluatedSample) => void | Promise<void>;
  /** Called with each sample that can't be loaded, which is left out; default: its error is thrown. */
  readonly onBroken?: (error: DataError) => void;
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
 * Throws DataError if the dataset is empty, has another number of classes than the network, or has no
 * labels. Prefetches the next image while the current one is computed.
 */
export async function evaluateDataset(
  segmenter: RemoteSegmenter,
  dataset: Dataset,
  { limit, views = PLAIN_VIEW, onSample, onBroken, signal }: EvaluateOptions = {},
): Promise<MetricScores> {
  const total = Math.min(dataset.samples.length, limit ?? Infinity);
  checkDataset(segmenter, dataset, total);
  const metric = new SegmentationMetric(segmenter.classes);
  let next = load(dataset, 0);
  for (let index = 0; index < total; index++) {
    signal?.throwIfAborted();
    const loaded = next;
    if (index + 1 < total) next = load(dataset, index + 1);
    const sample = await unlessBroken(loaded, onBroken);
    if (sample === null) continue;
    const name = dataset.samples[index]!;
    if (sample.labels.includes(UNLABELLED)) {
      throw new DataError(`${dataset.name}: ${name}: has no labels to compare with`);
    }
    const prediction = await readViewLogits(segmenter, sample, views, (logits_1HWK) =>
      metric.add(logits_1HWK, sample.labels),
    );
    await onSample?.({ index, total, name, sample, prediction });
  }
  return metric.scores();
}

/** null: the sample is broken, and the caller goes on. */
async function unlessBroken(
  loading: Promise<Sample>,
  onBroken: EvaluateOptions['onBroken'],
): Promise<Sample | null> {
  try {
    return await loading;
  } catch (error) {
    if (onBroken === undefined || !(error instanceof DataError)) throw error;
    onBroken(error);
    return null;
  }
}

/** A failure surfaces when the sample is awaited, not before as an unhandled rejection. */
function load(dataset: Dataset, index: number): Promise<Sample> {
  const loading = dataset.load(index);
  loading.catch(() => {});
  return loading;
}

function checkDataset(segmenter: RemoteSegmenter, dataset: Dataset, total: number): void {
  if (total === 0) throw new DataError(`${dataset.name}: no samples to evaluate`);
  if (dataset.classNames.length !== segmenter.classes) {
    throw new DataError(
      `${dataset.name}: ${dataset.classNames.length} classes, the network has ${segmenter.classes}`,
    );
  }
}
