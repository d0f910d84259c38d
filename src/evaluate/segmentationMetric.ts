/**
 * Accumulates a network's score over images. N batch, H W label size, K classes.
 */
import { ops, readInt32, scope, type Tensor } from '../tensor/index.js';
import { ConfusionMatrix, type LabelArray, type SegmentationScores, scores } from './confusion.js';

export interface MetricScores extends SegmentationScores {
  /**
   * Correct pixels and their share as counted by the official trainer, which truncates logits to integers,
   * towards zero, before the arg-max. Only for comparison with published figures.
   */
  readonly correctReference: number;
  readonly pixelAccuracyReference: number;
  /** [truth, prediction], row-major; pixels. */
  readonly confusion: Float64Array;
}

export class SegmentationMetric {
  readonly #confusion: ConfusionMatrix;
  readonly #reference: ConfusionMatrix;

  constructor(classes: number) {
    this.#confusion = new ConfusionMatrix(classes);
    this.#reference = new ConfusionMatrix(classes);
  }

  /**
   * Adds float32 logits at label size and N*H*W labels, row-major. Returns the predictions; of equal
   * logits the first wins.
   */
  add(logits_NHWK: Tensor, labels: LabelArray): Int32Array {
    const predictions = readPredictions(logits_NHWK);
    this.#confusion.add(predictions, labels);
    this.#reference.add(
      scope(() => readPredictions(ops.cast(logits_NHWK, 'int32'))),
      labels,
    );
    return predictions;
  }

  scores(): MetricScores {
    const reference = scores(this.#reference);
    return {
      ...scores(this.#confusion),
      correctReference: reference.correct,
      pixelAccuracyReference: reference.pixelAccuracy,
      confusion: this.#confusion.counts.slice(),
    };
  }
}

/** The class number of every pixel, from logits of any dtype. */
export function readPredictions(logits_NHWK: Tensor): Int32Array {
  return scope(() => readInt32(ops.argMax(logits_NHWK, logits_NHWK.shape.length - 1)));
}
