/** The common implementation of all datasets of image and label files. */
import { createHash } from 'node:crypto';
import type { ClassTable } from './classTable.js';
import { fileBytes } from './fileList.js';
import { type LabelValues, loadLabelledImage, loadUnlabelledImage } from '../labelledImage.js';
import { DataError, type Dataset } from '../types.js';

export interface SampleFiles {
  readonly name: string;
  readonly imageFile: string;
  /** null: no labels; every pixel is UNLABELLED. */
  readonly labelFile: string | null;
  /** Meaning of the label file's values; default: the dataset's table. */
  readonly table?: ClassTable;
}

export interface FileDatasetOptions {
  /** For messages. */
  readonly name: string;
  /** First input of the digest: kind and version of the layout, and anything else that affects the labels. */
  readonly identity: string;
  readonly table: ClassTable;
  readonly values: LabelValues;
  readonly files: readonly SampleFiles[];
  /** See ImageOptions; default null. */
  readonly whiteValue?: number | null;
}

/** @throws DataError when a file is missing. */
export function fileDataset(options: FileDatasetOptions): Dataset {
  const { name, identity, table, values, files, whiteValue = null } = options;
  const hash = createHash('sha256').update(`${identity}\n`);
  for (const { name, imageFile, labelFile } of files) {
    const imageBytes = fileBytes(imageFile);
    const labelBytes = labelFile === null ? 'none' : fileBytes(labelFile);
    hash.update(`${name} ${imageBytes} ${labelBytes}\n`);
  }
  return {
    name,
    classNames: table.classNames,
    palette: table.palette,
    samples: files.map(({ name }) => name),
    digest: hash.digest('hex'),
    async load(index) {
      const file = files[index];
      if (file === undefined) {
        throw new DataError(`${name}: got sample ${index}, wanted 0 to ${files.length - 1}`);
      }
      if (file.labelFile === null) return loadUnlabelledImage(file.imageFile, { whiteValue });
      const meaning = { table: file.table ?? table, values, whiteValue };
      return loadLabelledImage(file.imageFile, file.labelFile, meaning);
    },
  };
}
