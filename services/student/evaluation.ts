/** The student on data.val: scores, and predictions for pictures. */
import type { DatasetConfig } from '../../src/data/datasets.js';
import { readSequentially } from '../../src/data/readSequentially.js';
import { ConfusionMatrix, type SegmentationScores, scores } from '../../src/evaluate/confusion.js';
import type { ComputeThread } from './computeThread.js';

/** Samples decoded ahead of the one being computed. */
const READ_AHEAD = 4;

export interface EvaluationOptions {
  readonly dataset: DatasetConfig;
  readonly classes: number;
  readonly workers: number;
}

/** Throws DataError, as the dataset does. */
export async function evaluateStudent(
  compute: ComputeThread,
  { dataset, classes, workers }: EvaluationOptions,
): Promise<SegmentationScores> {
  const confusion = new ConfusionMatrix(classes);
  for await (const sample of readSequentially(dataset, { workers, ahead: READ_AHEAD })) {
    const { counts } = await compute.evaluate(sample);
    for (const [i, count] of counts.entries()) confusion.counts[i]! += count;
  }
  return scores(confusion);
}
