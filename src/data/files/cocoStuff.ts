/**
 * COCO-Stuff 164k, 171 classes, or all 182 numbers: `<root>/images/train2017/*.jpg` with the label maps
 * `<root>/annotations/train2017/*.png` (stuffthingmaps) or `*_labelTrainIds.png`, and the same with `val2017`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, type Dataset } from '../types.js';
import {
  COCO_STUFF_TABLE,
  COCO_STUFF_TABLE_182,
  COCO_STUFF_TRAIN_TABLE,
} from './classes/cocoStuff.js';
import type { ClassTable } from './classTable.js';
import { type FileOptions, fileDataset, type SampleFiles } from './fileDataset.js';
import { samplesOfFolders } from './imageAndLabelFolders.js';

const IMAGE_SUFFIX = '.jpg';
const LABEL_SUFFIX = '.png';
const TRAIN_LABEL_SUFFIX = '_labelTrainIds.png';
/** The archives' names of the splits. */
const FOLDERS: Readonly<Record<string, string>> = { train: 'train2017', val: 'val2017' };

export interface CocoStuffOptions extends FileOptions {
  /** The folder that holds `images` and `annotations`. */
  readonly root: string;
  /** `train`, `val`, or any other folder of `images`. */
  readonly split: string;
  /** See `listedFiles`; null: every image of the split, in path order. */
  readonly list?: string | null;
  /** 171: those that have pixels; 182: the label maps' numbers, as the official CIRKD code has them. Default 171. */
  readonly classes?: 171 | 182;
}

/** @throws DataError when there is no image, an image has no label file, or the list is wrong. */
export function cocoStuff(options: CocoStuffOptions): Dataset {
  const { split, classes = 171, tolerant = false } = options;
  const files = samples(options);
  const trainIds = files.find(({ labelFile }) => labelFile?.endsWith(TRAIN_LABEL_SUFFIX));
  if (classes === 182 && trainIds !== undefined) {
    throw new DataError(
      `${trainIds.labelFile}: got numbers of 171 classes, wanted label maps (*${LABEL_SUFFIX}) for 182`,
    );
  }
  return fileDataset({
    name: `cocostuff/${split}`,
    identity: `cocostuff 1 ${classes}`,
    table: classes === 171 ? COCO_STUFF_TABLE : COCO_STUFF_TABLE_182,
    values: 'index',
    tolerant,
    files: files.map((file) => ({ ...file, ...tableOf(file) })),
  });
}

function samples({
  root,
  split,
  list = null,
  unlabelled = false,
}: CocoStuffOptions): SampleFiles[] {
  const folder = FOLDERS[split] ?? split;
  const folders = {
    imageFolder: join(root, 'images', folder),
    labelFolder: unlabelled ? null : join(root, 'annotations', folder),
    imageSuffix: IMAGE_SUFFIX,
    list,
  };
  const files = samplesOfFolders({ ...folders, labelSuffix: LABEL_SUFFIX });
  // Where both are there, they mean the same, and label maps know all 182 numbers.
  const first = files[0]?.labelFile ?? null;
  if (first === null || existsSync(first)) return files;
  const converted = samplesOfFolders({ ...folders, labelSuffix: TRAIN_LABEL_SUFFIX });
  return existsSync(converted[0]!.labelFile!) ? converted : files;
}

function tableOf({ labelFile }: SampleFiles): { readonly table?: ClassTable } {
  return labelFile?.endsWith(TRAIN_LABEL_SUFFIX) ? { table: COCO_STUFF_TRAIN_TABLE } : {};
}
