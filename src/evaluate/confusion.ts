/** Confusion matrix and the scores computed from it: golden/README.md, section 8. */
import { IGNORE_LABEL } from '../data/types.js';

/** Class numbers. Pixels with a value below 0 or with IGNORE_LABEL are ignored. */
export type LabelArray = Uint8Array | Int32Array;

export class ConfusionMatrix {
  readonly classes: number;
  /** [truth, prediction], row-major; float64 holds pixel counts exactly. */
  readonly counts: Float64Array;

  constructor(classes: number) {
    this.classes = classes;
    this.counts = new Float64Array(classes * classes);
  }

  /**
   * Adds the pixels of one or more images. Throws RangeError on a label that is neither a class nor ignored
   * and on a prediction that is no class.
   */
  add(predictions: LabelArray, labels: LabelArray): void {
    if (predictions.length !== labels.length) {
      throw new RangeError(`labels: ${labels.length} pixels, predictions: ${predictions.length}`);
    }
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i]!;
      if (label < 0 || label === IGNORE_LABEL) continue;
      const prediction = predictions[i]!;
      this.#check('label', label);
      this.#check('prediction', prediction);
      this.counts[label * this.classes + prediction]! += 1;
    }
  }

  /** Adds a matrix of the same classes from another image or worker. */
  merge(other: Pick<ConfusionMatrix, 'classes' | 'counts'>): void {
    if (other.classes !== this.classes) {
      throw new RangeError(`classes: ${other.classes} given, wanted ${this.classes}`);
    }
    for (let i = 0; i < this.counts.length; i++) this.counts[i]! += other.counts[i]!;
  }

  #check(what: string, value: number): void {
    if (value < 0 || value >= this.classes) {
      throw new RangeError(`${what}: class ${value} given, wanted 0 to ${this.classes - 1}`);
    }
  }
}

export interface SegmentationScores {
  /** Labelled pixels. */
  readonly labelled: number;
  readonly correct: number;
  /** Pixels where prediction and label are the class, [K]. */
  readonly intersection: Float64Array;
  /** Pixels where prediction or label is the class, [K]. */
  readonly union: Float64Array;
  /** [K]; 0 for a class that is in neither. */
  readonly iou: Float64Array;
  /** Mean over all classes; a class that is absent from labels and predictions counts as 0. */
  readonly miou: number;
  /** Mean over the classes in the labels or the predictions. */
  readonly miouPresent: number;
  /** Share of the labelled pixels that are correct; 0 if there are none. */
  readonly pixelAccuracy: number;
}

export function scores({ classes, counts }: ConfusionMatrix): SegmentationScores {
  const intersection = new Float64Array(classes);
  const truth = new Float64Array(classes);
  const predicted = new Float64Array(classes);
  for (let t = 0; t < classes; t++) {
    for (let p = 0; p < classes; p++) {
      const pixels = counts[t * classes + p]!;
      truth[t]! += pixels;
      predicted[p]! += pixels;
      if (t === p) intersection[t] = pixels;
    }
  }
  const union = truth.map((pixels, k) => pixels + predicted[k]! - intersection[k]!);
  const iou = intersection.map((pixels, k) => ratio(pixels, union[k]!));
  const labelled = sum(truth);
  const correct = sum(intersection);
  const present = union.filter((pixels) => pixels > 0).length;
  return {
    labelled,
    correct,
    intersection,
    union,
    iou,
    miou: sum(iou) / classes,
    miouPresent: ratio(sum(iou), present),
    pixelAccuracy: ratio(correct, labelled),
  };
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Gives 0 for 0 / 0, as the official scorer does by adding 2^-52 to the divisor. */
function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
