/** Any folder of images, with label PNGs at the same paths in another folder, beside them, or without labels. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { LabelValues } from '../labelledImage.js';
import { DataError, type Dataset } from '../types.js';
import { type ClassTable, INVALID } from './classTable.js';
import { readClassTable } from './classTableFile.js';
import { type FileOptions, faultySample, fileDataset, type SampleFiles } from './fileDataset.js';
import { filesBelow } from './fileList.js';
import { listedFiles } from './folderList.js';

export const IMAGE_ENDINGS = ['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.bmp'] as const;
const LABEL_SUFFIX = '.png';

export interface FolderOptions extends FileOptions {
  /** The use of the dataset, for messages: `train`, `val` … */
  readonly split: string;
  /** Contains images at any depth; sizes may differ. */
  readonly imageFolder: string;
  /** Folder of the label files; may be imageFolder itself. null: no labels. */
  readonly labelFolder: string | null;
  /** End of an image's name: `a/b` + imageSuffix. null: any of IMAGE_ENDINGS. */
  readonly imageSuffix?: string | null;
  /** End of a label file's name: `a/b` + labelSuffix has the labels of `a/b` + imageSuffix. Default `.png`. */
  readonly labelSuffix?: string;
  /** A list of the samples (see listedFiles); null: every image of the folder. */
  readonly list?: string | null;
  /** A file for `readClassTable`, or the name of a built-in table. */
  readonly classTable: string;
  readonly labelValues: LabelValues;
  /** Label 0 is ignored, and n stands for the table's id n - 1: mmsegmentation's reduce_zero_label. */
  readonly reduceZeroLabel?: boolean;
  /** See ImageOptions. */
  readonly whiteValue?: number | null;
}

/** @throws DataError when there is no image, an image has no label file, or the table or list is wrong. */
export function folder(options: FolderOptions): Dataset {
  const { labelValues, reduceZeroLabel = false, whiteValue = null, tolerant = false } = options;
  const table = readClassTable(options.classTable, labelValues === 'colour');
  if (reduceZeroLabel && labelValues === 'colour') {
    throw new DataError('reduceZeroLabel: got true, wanted false: labels are colours, not numbers');
  }
  const reading = [
    reduceZeroLabel ? 'zero' : '',
    whiteValue === null ? '' : `white ${whiteValue}`,
  ].filter((part) => part !== '');
  return fileDataset({
    name: `folder/${options.split}`,
    identity: ['folder 1', labelValues, tableDigest(table), ...reading].join(' '),
    table: reduceZeroLabel ? reduced(table) : table,
    values: labelValues,
    files: samples(options),
    whiteValue,
    tolerant,
  });
}

function samples(options: FolderOptions): SampleFiles[] {
  const { imageFolder, labelFolder, list = null, unlabelled = false } = options;
  const { imageSuffix = null, labelSuffix = LABEL_SUFFIX } = options;
  const labels = unlabelled ? null : labelFolder;
  const suffixes = imageSuffix === null ? IMAGE_ENDINGS : [imageSuffix];
  if (list !== null) {
    return listedFiles(list, { imageFolder, labelFolder: labels, suffixes, labelSuffix });
  }
  const lower = suffixes.map((suffix) => suffix.toLowerCase());
  const byName = new Map<string, string>();
  return imagesOf(options, lower).map((image) => {
    const suffix = lower.find((ending) => image.toLowerCase().endsWith(ending))!;
    const name = image.slice(0, image.length - suffix.length);
    const imageFile = join(imageFolder, image);
    const twin = byName.get(name);
    if (twin !== undefined) {
      const reason = 'one label for two (imageSuffix says which are images)';
      return faultySample(image, `${imageFile}: called like ${twin}: ${reason}`);
    }
    byName.set(name, image);
    const labelFile = labels === null ? null : join(labels, `${name}${labelSuffix}`);
    return { name, imageFile, labelFile };
  });
}

/** Paths below the folder, sorted. `suffixes`: in lower case. */
function imagesOf(
  { imageFolder, labelFolder, labelSuffix = LABEL_SUFFIX }: FolderOptions,
  suffixes: readonly string[],
): string[] {
  // Labels beside their images would be images, too.
  const isLabel = (path: string) =>
    labelFolder !== null &&
    labelSuffix !== LABEL_SUFFIX &&
    join(labelFolder) === join(imageFolder) &&
    path.endsWith(labelSuffix);
  const images = filesBelow(imageFolder, suffixes).filter((path) => !isLabel(path));
  if (images.length === 0) {
    throw new DataError(`${imageFolder}: got no image, wanted ${suffixes.join(', ')}`);
  }
  return images;
}

/** 0 is ignored, every other number means what the one before it means in the table. */
function reduced(table: ClassTable): ClassTable {
  const classOfId = new Int16Array(table.classOfId.length);
  classOfId.set(table.classOfId.subarray(0, -1), 1);
  // Ignored before and after: mmsegmentation keeps 255, and turns 254 + 1 into it.
  for (const id of [0, 255]) classOfId[id] = table.classOfId[255]!;
  return { ...table, classOfId };
}

/** Digest of everything that determines a label's class. */
function tableDigest({ classNames, classOfId, classOfColour }: ClassTable): string {
  // The first 256 ids as they always were: earlier runs have their digest.
  const large = [...classOfId.entries()].filter(([id, label]) => id > 255 && label !== INVALID);
  const ids = [...classOfId.subarray(0, 256), ...large];
  const content = JSON.stringify([classNames, ids, [...classOfColour]]);
  return createHash('sha256').update(content).digest('hex');
}
