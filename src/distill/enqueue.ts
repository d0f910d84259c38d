/**
 * Adds a batch to the memory banks: for each image and each of its classes, the mean embedding
 * (region bank) and the embeddings of some pixels (pixel bank).
 *
 * N images, P = N * h * w positions, D teacher channels, K classes. TensorFlow selects and sums the
 * rows; only those that are stored are copied to the host.
 *
 * In a group every rank adds the rows of all ranks, in the order of the images: all choose alike from the labels
 * of the whole batch, each reads the rows of its own images, and these are gathered. So the banks are equal on all
 * ranks, and the same as those of one process.
 */
import type { Collective } from '../collectives/collective.js';
import type { LabelMaps } from '../losses/nearestLabels.js';
import type { BankChoices } from '../memory/choices.js';
import {
  choosePixels,
  type PixelEnqueue,
  type PixelMemoryBank,
} from '../memory/pixelMemoryBank.js';
import type { RegionMemoryBank } from '../memory/regionMemoryBank.js';
import { int32, ops, readFloat32, scope, type Tensor } from '../tensor/index.js';
import { gatherRows } from './ranks.js';

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

/** The positions of this rank's images in the batch's label maps. */
interface OwnImages {
  readonly first: number;
  readonly isOwn: (region: Region) => boolean;
}

function ownImages(labels: LabelMaps, { rank, size }: Collective): OwnImages {
  const images = labels.images / size;
  const first = rank * images;
  return { first, isOwn: ({ image }) => image >= first && image < first + images };
}

/** Stages the mean embedding of every region. `labels`: the whole batch's, of the embedding's size. */
export function enqueueRegions(
  embedding_PD: Tensor,
  labels: LabelMaps,
  classes: number,
  bank: RegionMemoryBank,
  group: Collective,
): void {
  const regions = regionsOf(labels, classes);
  if (regions.length === 0) return;
  const positions = labels.height * labels.width;
  const { first, isOwn } = ownImages(labels, group);
  const own = regions.filter(isOwn);
  const segment_P = new Int32Array(labels.data.length / group.size).fill(-1);
  own.forEach(({ image, ids }, region) => {
    for (const id of ids) segment_P[(image - first) * positions + id] = region;
  });
  const ownSums = scope(() => {
    if (own.length === 0) return new Float32Array();
    const segments = int32(segment_P, [segment_P.length]);
    return readFloat32(ops.unsortedSegmentSum(embedding_PD, segments, own.length));
  });
  const sums = gatherRows(group, ownSums);
  // The bank normalises rows, so the sum does as well as the mean.
  stageRows(
    sums,
    embedding_PD.shape[1]!,
    regions.map(() => 1),
    regions,
    bank,
  );
}

/** Stages up to `pixelUpdateFreq` pixels of every region. `labels`: the whole batch's, of the embedding's size. */
export function enqueuePixels(
  embedding_PD: Tensor,
  labels: LabelMaps,
  bank: PixelMemoryBank,
  choices: BankChoices,
  options: { classes: number; pixelUpdateFreq: number; pixelEnqueue: PixelEnqueue },
  group: Collective,
): void {
  const regions = regionsOf(labels, options.classes);
  if (regions.length === 0) return;
  const positions = labels.height * labels.width;
  const { first, isOwn } = ownImages(labels, group);
  const chosen = regions.map((region) => {
    const { image, classNumber, ids } = region;
    const take = Math.min(ids.length, options.pixelUpdateFreq);
    const permutation = choices.enqueue(image, classNumber, ids.length, take);
    const inImage = choosePixels(ids, permutation, options.pixelEnqueue);
    return { isOwn: isOwn(region), rows: inImage.map((id) => (image - first) * positions + id) };
  });
  const own = chosen.filter((region) => region.isOwn);
  const index = Int32Array.from(own.flatMap((region) => [...region.rows]));
  const ownRows = scope(() =>
    index.length === 0
      ? new Float32Array()
      : readFloat32(ops.gather(embedding_PD, int32(index, [index.length]))),
  );
  const rows = gatherRows(group, ownRows);
  stageRows(
    rows,
    embedding_PD.shape[1]!,
    chosen.map((region) => region.rows.length),
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
