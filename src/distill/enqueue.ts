/**
 * Adds a batch to the memory banks: for each image and each of its classes, the mean embedding
 * (region bank) and the embeddings of some pixels (pixel bank).
 *
 * N images, P = N * h * w positions, D teacher channels, K classes. TensorFlow selects and sums the
 * rows; only those that are stored are copied to the host.
 */
import type { LabelMaps } from '../losses/nearestLabels.js';
import type { BankChoices } from '../memory/choices.js';
import {
  choosePixels,
  type PixelEnqueue,
  type PixelMemoryBank,
} from '../memory/pixelMemoryBank.js';
import type { RegionMemoryBank } from '../memory/regionMemoryBank.js';
import { int32, ops, readFloat32, scope, type Tensor } from '../tensor/index.js';

/** Label value of positions without a class. */
export const IGNORED = 255;

/** One class in one image. */
interface Region {
  readonly image: number;
  readonly classNumber: number;
  /** Positions in the image, ascending. */
  readonly ids: Int32Array;
}

/** The regions of a batch: images in order, classes ascending. */
function regionsOf(labels: LabelMaps, classes: number): Region[] {
  const positions = labels.height * labels.width;
  const regions: Region[] = [];
  for (let image = 0; image < labels.images; image++) {
    const idsOfClass: number[][] = Array.from({ length: classes }, () => []);
    for (let i = 0; i < positions; i++) {
      const label = labels.data[image * positions + i]!;
      if (label === IGNORED) continue;
      const ids = idsOfClass[label];
      if (ids === undefined) {
        throw new RangeError(`labels: ${label} given, wanted 0 to ${classes - 1} or ${IGNORED}`);
      }
      ids.push(i);
    }
    idsOfClass.forEach((ids, classNumber) => {
      if (ids.length > 0) regions.push({ image, classNumber, ids: Int32Array.from(ids) });
    });
  }
  return regions;
}

/** Stages the mean embedding of every region. `labels` have the embedding's size. */
export function enqueueRegions(
  embedding_PD: Tensor,
  labels: LabelMaps,
  classes: number,
  bank: RegionMemoryBank,
): void {
  const regions = regionsOf(labels, classes);
  if (regions.length === 0) return;
  const positions = labels.height * labels.width;
  const segment_P = new Int32Array(labels.data.length).fill(-1);
  regions.forEach(({ image, ids }, region) => {
    for (const id of ids) segment_P[image * positions + id] = region;
  });
  const sums = scope(() => {
    const segments = int32(segment_P, [segment_P.length]);
    return readFloat32(ops.unsortedSegmentSum(embedding_PD, segments, regions.length));
  });
  // The bank normalises rows, so the sum does as well as the mean.
  stageRows(
    sums,
    embedding_PD.shape[1]!,
    regions.map(() => 1),
    regions,
    bank,
  );
}

/** Stages up to `pixelUpdateFreq` pixels of every region. `labels` have the embedding's size. */
export function enqueuePixels(
  embedding_PD: Tensor,
  labels: LabelMaps,
  bank: PixelMemoryBank,
  choices: BankChoices,
  options: { classes: number; pixelUpdateFreq: number; pixelEnqueue: PixelEnqueue },
): void {
  const regions = regionsOf(labels, options.classes);
  if (regions.length === 0) return;
  const positions = labels.height * labels.width;
  const chosen = regions.map(({ image, classNumber, ids }) => {
    const take = Math.min(ids.length, options.pixelUpdateFreq);
    const permutation = choices.enqueue(image, classNumber, ids.length, take);
    const inImage = choosePixels(ids, permutation, options.pixelEnqueue);
    return inImage.map((id) => image * positions + id);
  });
  const index = Int32Array.from(chosen.flatMap((rows) => [...rows]));
  const rows = scope(() => readFloat32(ops.gather(embedding_PD, int32(index, [index.length]))));
  stageRows(
    rows,
    embedding_PD.shape[1]!,
    chosen.map(({ length }) => length),
    regions,
    bank,
  );
}

/** Stages `counts[i]` consecutive rows of `data` for each region i, in order. */
function stageRows(
  data: Float32Array,
  channels: number,
  counts: readonly number[],
  regions: readonly Region[],
  bank: PixelMemoryBank | RegionMemoryBank,
): void {
  let at = 0;
  regions.forEach(({ classNumber }, i) => {
    const end = at + counts[i]! * channels;
    bank.stage(classNumber, data.subarray(at, end));
    at = end;
  });
}
