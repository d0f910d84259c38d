/** Any folder of images, with label PNGs at the same paths in another folder, or without labels. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { readClassTable } from './classTableFile.js';
import { type ClassTable, INVALID } from './classTable.js';
import { fileDataset, type SampleFiles } from './fileDataset.js';
import { filesBelow } from './fileList.js';
import type { LabelValues } from '../labelledImage.js';
import { DataError, type Dataset } from '../types.js';

const IMAGE_ENDINGS = ['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff'];

export interface FolderOptions {
  /** The use of the dataset, for messages: `train`, `val` … */
  readonly split: string;
  /** Contains images at any depth; sizes may differ. */
  readonly imageFolder: string;
  /** `a/b.png` in this folder has the labels of `a/b.*` in imageFolder; null: no labels. */
  readonly labelFolder: string | null;
  /** A file for `readClassTable`, or the name of a built-in table. */
  readonly classTable: string;
  readonly labelValues: LabelValues;
  /** Don't require or read label files. */
  readonly unlabelled?: boolean;
}

/** @throws DataError when there is no image, an image has no label file, or the table is wrong. */
export function folder(options: FolderOptions): Dataset {
  const { imageFolder, labelFolder, labelValues, unlabelled = false } = options;
  const table = readClassTable(options.classTable, labelValues === 'colour');
  return fileDataset({
    name: `folder/${options.split}`,
    identity: `folder 1 ${labelValues} ${tableDigest(table)}`,
    table,
    values: labelValues,
    files: samplesIn(imageFolder, unlabelled ? null : labelFolder),
  });
}

function samplesIn(imageFolder: string, labelFolder: string | null): SampleFiles[] {
  const images = filesBelow(imageFolder, IMAGE_ENDINGS);
  if (images.length === 0) {
    throw new DataError(`${imageFolder}: got no image, wanted ${IMAGE_ENDINGS.join(', ')}`);
  }
  const byName = new Map<string, string>();
  for (const image of images) {
    const name = image.slice(0, image.lastIndexOf('.'));
    const twin = byName.get(name);
    if (twin !== undefined) {
      throw new DataError(`${join(imageFolder, image)}: called like ${twin}: one label for two`);
    }
    byName.set(name, image);
  }
  return [...byName].map(([name, image]) => ({
    name,
    imageFile: join(imageFolder, image),
    labelFile: labelFolder === null ? null : join(labelFolder, `${name}.png`),
  }));
}

/** Digest of everything that determines a label's class. */
function tableDigest({ classNames, classOfId, classOfColour }: ClassTable): string {
  // The first 256 ids as they always were: earlier runs have their digest.
  const large = [...classOfId.entries()].filter(([id, label]) => id > 255 && label !== INVALID);
  const ids = [...classOfId.subarray(0, 256), ...large];
  const content = JSON.stringify([classNames, ids, [...classOfColour]]);
  return createHash('sha256').update(content).digest('hex');
}
