/** What datasets give and what the loader makes of it. */

/** The label value of pixels that no loss and no metric looks at. */
export const IGNORE_LABEL = 255;

/**
 * The label value of pixels of an image without labels, where a teacher gives them (`labels:
 * teacher`). No class has this number, so a pixel that slips through is an error, not a class.
 */
export const UNLABELLED = 254;

/** One decoded image with its labels, both at full size. */
export interface Sample {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B. */
  readonly rgb: Uint8Array;
  /** One class number a pixel, row-major, or IGNORE_LABEL, or UNLABELLED. */
  readonly labels: Uint8Array;
}

/** A list of samples. Deterministic: sample(i) is the same whenever and wherever it's called. */
export interface Dataset {
  readonly name: string;
  readonly classNames: readonly string[];
  /** One [r, g, b] a class, for pictures. */
  readonly palette: readonly (readonly [number, number, number])[];
  /** Stable names of the samples, in list order. */
  readonly samples: readonly string[];
  /** sha256 (hex) over what decides the list and its content: names, sizes of files, classes, generator version. */
  readonly digest: string;
  /** Throws DataError that names the file, what came and what was wanted. */
  load(index: number): Promise<Sample>;
}

/** A crop as it goes to both networks. */
export interface Crop {
  readonly sample: string;
  readonly augmentationSeed: bigint;
  /** uint8 HWC, R G B, of the batch's crop size. */
  readonly rgb: Uint8Array;
  /** As the sample's; IGNORE_LABEL where padded. */
  readonly labels: Uint8Array;
}

/** The crops of one step. */
export interface Batch {
  /** From 0, counted over the whole run. */
  readonly step: number;
  readonly height: number;
  readonly width: number;
  readonly crops: readonly Crop[];
}

/** Something is wrong with the data: named file, what came, what was wanted. Exit code 7. */
export class DataError extends Error {
  override readonly name = 'DataError';
}
