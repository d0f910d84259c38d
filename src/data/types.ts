/** Samples of datasets, and the batches that the loader makes from them. */

/** The label value of pixels that losses and metrics ignore. */
export const IGNORE_LABEL = 255;

/**
 * The label value of pixels in images without labels, for which a teacher provides them (`labels: teacher`).
 * No class has this number, so a pixel that is left over causes an error instead of counting as a class.
 */
export const UNLABELLED = 254;

/** One decoded image with its labels, both at full size. */
export interface Sample {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B. */
  readonly rgb: Uint8Array;
  /** One value per pixel, row-major: a class number, IGNORE_LABEL or UNLABELLED. */
  readonly labels: Uint8Array;
  /** What the image's decoder found wrong with the file, which it names; absent: nothing. */
  readonly warning?: string;
  /** EXIF orientation, 2 to 8, that was applied; absent: the pixels lie as they are stored. */
  readonly orientation?: number;
}

/** A list of samples. Deterministic: load(i) gives the same sample at any time on any machine. */
export interface Dataset {
  readonly name: string;
  readonly classNames: readonly string[];
  /** One [r, g, b] per class, for pictures. */
  readonly palette: readonly (readonly [number, number, number])[];
  /** Stable names of the samples, in list order. */
  readonly samples: readonly string[];
  /** sha256 (hex) over what determines the samples: names, file sizes, classes, generator version. */
  readonly digest: string;
  /** Rejects with a DataError that names the file, what came and what was wanted. */
  load(index: number): Promise<Sample>;
}

/** A crop, the input of both networks. */
export interface Crop {
  readonly sample: string;
  readonly augmentationSeed: bigint;
  /** uint8 HWC, R G B, in the batch's crop size. */
  readonly rgb: Uint8Array;
  /** As in Sample; IGNORE_LABEL in the padding. */
  readonly labels: Uint8Array;
  /** Of the sample. */
  readonly warning?: string;
}

/** The crops of one step. */
export interface Batch {
  /** From 0, counted over the whole run. */
  readonly step: number;
  readonly height: number;
  readonly width: number;
  /** Names of all samples of the step, in order, those that other ranks load included. */
  readonly samples: readonly string[];
  /** Those that this process loads. */
  readonly crops: readonly Crop[];
}

/** The data are faulty; the message names the file, what came and what was wanted. Exit code 7. */
export class DataError extends Error {
  override readonly name = 'DataError';
}
