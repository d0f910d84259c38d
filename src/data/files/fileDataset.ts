/** The common implementation of all datasets of image and label files. */
import { createHash } from 'node:crypto';
import type { ClassTable } from './classTable.js';
import { fileBytes } from './fileList.js';
import { type LabelValues, loadLabelledImage, loadUnlabelledImage } from '../labelledImage.js';
import { DataError, type Dataset } from '../types.js';

/** What every dataset in files can be opened with. */
export interface FileOptions {
  /** Don't require or read label files. */
  readonly unlabelled?: boolean;
  /**
   * Missing files and wrong lines of a list are faults of their sample, found when it is loaded; default: no dataset
   * with any such fault is opened.
   */
  readonly tolerant?: boolean;
}

export interface SampleFiles {
  readonly name: string;
  readonly imageFile: string;
  /** null: no labels; every pixel is UNLABELLED. */
  readonly labelFile: string | null;
  /** Meaning of the label file's values; default: the dataset's table. */
  readonly table?: ClassTable;
  /** Why there is no such sample. */
  readonly fault?: DataError;
}

/** A sample that is named and can't be. */
export function faultySample(name: string, message: string): SampleFiles {
  return { name, imageFile: '', labelFile: null, fault: new DataError(message) };
}

export interface FileDatasetOptions extends Pick<FileOptions, 'tolerant'> {
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

/** @throws DataError when a file is missing or a sample has a fault, unless `tolerant`. */
export function fileDataset(options: FileDatasetOptions): Dataset {
  const { name, identity, table, values, files, whiteValue = null, tolerant = false } = options;
  const hash = createHash('sha256').update(`${identity}\n`);
  for (const { name, imageFile, labelFile, fault } of tolerant ? [] : files) {
    if (fault !== undefined) throw fault;
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
      if (file.fault !== undefined) throw file.fault;
      if (file.labelFile === null) return loadUnlabelledImage(file.imageFile, { whiteValue });
      const meaning = { table: file.table ?? table, values, whiteValue };
      return loadLabelledImage(file.imageFile, file.labelFile, meaning);
    },
  };
}
