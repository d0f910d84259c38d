/** Sums over the samples of a dataset, and everything that is wrong with them. */
import { type Dataset, IGNORE_LABEL, UNLABELLED } from '../types.js';
import type { Inspection } from './inspection.js';

export interface ClassCount {
  readonly name: string;
  readonly colour: readonly [number, number, number];
  readonly pixels: number;
  /** Of all pixels with a class. 0 where none has. */
  readonly share: number;
  /** Images with at least one pixel of the class. */
  readonly images: number;
}

export interface SizeCount {
  readonly height: number;
  readonly width: number;
  readonly images: number;
}

export interface SampleNote {
  readonly sample: string;
  readonly message: string;
}

/** Plain data, in the order of the dataset, whatever thread was first. */
export interface DataReport {
  readonly dataset: string;
  readonly samples: number;
  /** Samples that were read; the others have a fault. */
  readonly read: number;
  readonly pixels: number;
  readonly labelledPixels: number;
  readonly ignoredPixels: number;
  /** In images without labels. */
  readonly unlabelledPixels: number;
  readonly classes: readonly ClassCount[];
  /** The most frequent first. */
  readonly sizes: readonly SizeCount[];
  /** Images by the EXIF orientation that was applied. */
  readonly orientations: Readonly<Record<string, number>>;
  readonly warnings: readonly SampleNote[];
  readonly faults: readonly SampleNote[];
}

export class DataCounts {
  readonly #dataset: Dataset;
  readonly #pixelsOfLabel = new Float64Array(256);
  readonly #imagesOfLabel = new Float64Array(256);
  readonly #sizes = new Map<string, { height: number; width: number; images: number }>();
  readonly #orientations = new Map<number, number>();
  readonly #warnings: (readonly [index: number, message: string])[] = [];
  readonly #faults: (readonly [index: number, message: string])[] = [];
  readonly #digests = new Map<number, string>();

  constructor(dataset: Dataset) {
    this.#dataset = dataset;
  }

  add(index: number, inspection: Inspection): void {
    const { height, width, pixelsOfLabel, imageDigest, warning, orientation } = inspection;
    for (const [label, pixels] of pixelsOfLabel.entries()) {
      this.#pixelsOfLabel[label]! += pixels;
      if (pixels > 0) this.#imagesOfLabel[label]!++;
    }
    const key = `${height}x${width}`;
    const size = this.#sizes.get(key) ?? { height, width, images: 0 };
    this.#sizes.set(key, { ...size, images: size.images + 1 });
    if (orientation !== undefined) {
      this.#orientations.set(orientation, (this.#orientations.get(orientation) ?? 0) + 1);
    }
    if (warning !== undefined) this.#warnings.push([index, warning]);
    this.#digests.set(index, imageDigest);
  }

  addFault(index: number, message: string): void {
    this.#faults.push([index, message]);
  }

  /** `imageDigest` of every sample that was read, by its name. */
  get digests(): ReadonlyMap<string, string> {
    const named = [...this.#digests].sort(([a], [b]) => a - b);
    return new Map(named.map(([index, digest]) => [this.#dataset.samples[index]!, digest]));
  }

  report(): DataReport {
    const { name, samples, classNames, palette } = this.#dataset;
    const of = this.#pixelsOfLabel;
    const pixels = of.reduce((sum, one) => sum + one, 0);
    const [ignoredPixels, unlabelledPixels] = [of[IGNORE_LABEL]!, of[UNLABELLED]!];
    const labelledPixels = pixels - ignoredPixels - unlabelledPixels;
    return {
      dataset: name,
      samples: samples.length,
      read: this.#digests.size,
      ...{ pixels, labelledPixels, ignoredPixels, unlabelledPixels },
      classes: classNames.map((className, k) => ({
        name: className,
        colour: palette[k]!,
        pixels: of[k]!,
        share: labelledPixels === 0 ? 0 : of[k]! / labelledPixels,
        images: this.#imagesOfLabel[k]!,
      })),
      sizes: [...this.#sizes.values()].sort(
        (a, b) => b.images - a.images || a.height - b.height || a.width - b.width,
      ),
      orientations: Object.fromEntries([...this.#orientations].sort(([a], [b]) => a - b)),
      warnings: this.#notes(this.#warnings),
      faults: this.#notes(this.#faults),
    };
  }

  #notes(notes: readonly (readonly [index: number, message: string])[]): SampleNote[] {
    return [...notes]
      .sort(([a], [b]) => a - b)
      .map(([index, message]) => ({ sample: this.#dataset.samples[index]!, message }));
  }
}

/** Images that are there more than once, pixel by pixel: within a dataset, or in several. */
export function duplicates(
  sets: readonly { readonly name: string; readonly digests: ReadonlyMap<string, string> }[],
): { readonly name: string; readonly sample: string }[][] {
  const byDigest = new Map<string, { name: string; sample: string }[]>();
  for (const { name, digests } of sets) {
    for (const [sample, digest] of digests) {
      const same = byDigest.get(digest) ?? [];
      same.push({ name, sample });
      byDigest.set(digest, same);
    }
  }
  return [...byDigest.values()].filter((same) => same.length > 1);
}
