/** Any folder of images, with label PNGs of the same paths in another folder, or without labels. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { readClassTable } from './classTableFile.js';
import type { ClassTable } from './classTable.js';
import { fileDataset, type SampleFiles } from './fileDataset.js';
import { filesBelow } from './fileList.js';
import type { LabelValues } from './labelledImage.js';
import { DataError, type Dataset } from './types.js';

const IMAGE_ENDINGS = ['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff'];

export interface FolderOptions {
  /** What it is used for: a word for messages. */
  readonly split: string;
  /** Images of any depth below; sizes may differ. */
  readonly imageFolder: string;
  /** `a/b.png` here has the labels of `a/b.*` there; null: no labels. */
  readonly labelFolder: string | null;
  /** A file of `readClassTable`, or the name of a known table. */
  readonly classTable: string;
  readonly labelValues: LabelValues;
  /** Label files are neither wanted nor looked at. */
  readonly unlabelled?: boolean;
}

/** @throws DataError when there is no image, one has no label file, or the table is wrong. */
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

/** Over what decides the class of a label. */
function tableDigest({ classNames, classOfId, classOfColour }: ClassTable): string {
  const told = JSON.stringify([classNames, [...classOfId], [...classOfColour]]);
  return createHash('sha256').update(told).digest('hex');
}
