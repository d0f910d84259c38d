/**
 * ADE20K as prepared for the scene parsing benchmark (ADEChallengeData2016), 150 classes:
 * `<root>/images/training/*.jpg` with `<root>/annotations/training/*.png`, and the same with `validation`.
 */
import { join } from 'node:path';
import type { Dataset } from '../types.js';
import { ADE20K_CLASSES, ADE20K_TABLE } from './classes/ade20k.js';
import { type FileOptions, fileDataset } from './fileDataset.js';
import { samplesOfFolders } from './imageAndLabelFolders.js';

/** The archive's names of the splits. */
const FOLDERS: Readonly<Record<string, string>> = { train: 'training', val: 'validation' };

export interface Ade20kOptions extends FileOptions {
  /** The folder that holds `images` and `annotations`. */
  readonly root: string;
  /** `train`, `val`, or any other folder of `images`. */
  readonly split: string;
  /** See `listedFiles`; null: every image of the split, in path order. */
  readonly list?: string | null;
}

/** @throws DataError when there is no image, an image has no label file, or the list is wrong. */
export function ade20k(options: Ade20kOptions): Dataset {
  const { root, split, list = null, unlabelled = false, tolerant = false } = options;
  const folder = FOLDERS[split] ?? split;
  return fileDataset({
    name: `ade20k/${split}`,
    identity: `ade20k 1 ${ADE20K_CLASSES.length}`,
    table: ADE20K_TABLE,
    values: 'index',
    tolerant,
    files: samplesOfFolders({
      imageFolder: join(root, 'images', folder),
      labelFolder: unlabelled ? null : join(root, 'annotations', folder),
      imageSuffix: '.jpg',
      labelSuffix: '.png',
      list,
    }),
  });
}
