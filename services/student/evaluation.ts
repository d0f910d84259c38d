/** The student on data.val: scores, and predictions for pictures. */
import type { DatasetConfig } from '../../src/data/datasets.js';
import { readSequentially } from '../../src/data/readSequentially.js';
import { ConfusionMatrix, type SegmentationScores, scores } from '../../src/evaluate/confusion.js';
import type { ComputeClient } from './computeProtocol.js';
import type { ShownPrediction } from './runReport.js';

/** Samples decoded ahead of the one being computed. */
const READ_AHEAD = 4;

export interface EvaluationOptions {
  readonly dataset: DatasetConfig;
  readonly classes: number;
  readonly workers: number;
  /** Of the first so many images, image and prediction are given back. */
  readonly pictures: number;
  /** Looked at between images. */
  readonly stop: AbortSignal;
}

export interface StudentEvaluation {
  readonly scores: SegmentationScores;
  readonly shown: readonly ShownPrediction[];
}

/** Throws DataError, as the dataset does; the signal's reason where it is aborted. */
export async function evaluateStudent(
  compute: ComputeClient,
  { dataset, classes, workers, pictures, stop }: EvaluationOptions,
): Promise<StudentEvaluation> {
  const confusion = new ConfusionMatrix(classes);
  const shown: ShownPrediction[] = [];
  for await (const sample of readSequentially(dataset, { workers, ahead: READ_AHEAD })) {
    stop.throwIfAborted();
    const { counts, prediction } = await compute.evaluate(sample);
    if (shown.length < pictures) shown.push({ sample, prediction });
    confusion.merge({ classes, counts });
  }
  return { scores: scores(confusion), shown };
}
