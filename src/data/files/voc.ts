/**
 * PASCAL VOC 2012, alone or with the further annotations of SBD (Hariharan et al. 2011), 21 classes:
 * `<root>/JPEGImages/*.jpg` with `<root>/SegmentationClassAug/*.png` or `<root>/SegmentationClass/*.png`, and the lists in
 * `<root>/ImageSets/Segmentation`.
 */
import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import type { Dataset } from '../types.js';
import { VOC_CLASSES, VOC_TABLE } from './classes/voc.js';
import { type FileOptions, fileDataset } from './fileDataset.js';
import { listedFiles } from './folderList.js';

/** VOC's own labels; with SBD's, in the form that is passed around as VOCAug. */
const LABELS = 'SegmentationClass';
const AUGMENTED_LABELS = 'SegmentationClassAug';
const LISTS = 'ImageSets/Segmentation';
/** What the list of VOC's and SBD's training images is called, by preference. */
const AUGMENTED_LISTS = ['train_aug.txt', 'trainaug.txt'] as const;

export interface VocOptions extends FileOptions {
  /** The folder that holds `JPEGImages`: `VOCdevkit/VOC2012`, `VOCAug`. */
  readonly root: string;
  /** `train`, `val`, `trainval` … */
  readonly split: string;
  /**
   * A list in place of those in `ImageSets/Segmentation`: a name per line, or an image and its label file. null:
   * `<split>.txt`; for `train` with SegmentationClassAug `train_aug.txt` or `trainaug.txt`, if there is one.
   */
  readonly list?: string | null;
}

/**
 * As the official CIRKD code: `val` has VOC's own labels, everything else SegmentationClassAug's; each has the other
 * folder's if its own isn't there. A line that names a label file has that one.
 *
 * @throws DataError when there is no list, or it names a missing file.
 */
export function voc(options: VocOptions): Dataset {
  const { root, split, list = null, unlabelled = false, tolerant = false } = options;
  const file = list ?? defaultList(root, split);
  return fileDataset({
    name: `voc/${basename(file, extname(file))}`,
    identity: `voc 1 ${VOC_CLASSES.length}`,
    table: VOC_TABLE,
    values: 'index',
    tolerant,
    files: listedFiles(file, {
      imageFolder: join(root, 'JPEGImages'),
      labelFolder: unlabelled ? null : join(root, labelFolder(root, split)),
      labelRoot: root,
      suffixes: ['.jpg'],
      labelSuffix: '.png',
    }),
  });
}

function defaultList(root: string, split: string): string {
  const isAugmented = split === 'train' && existsSync(join(root, AUGMENTED_LABELS));
  const names = [...(isAugmented ? AUGMENTED_LISTS : []), `${split}.txt`];
  const lists = names.map((name) => join(root, LISTS, name));
  return lists.find((file) => existsSync(file)) ?? lists.at(-1)!;
}

function labelFolder(root: string, split: string): string {
  const [first, second] = split === 'val' ? [LABELS, AUGMENTED_LABELS] : [AUGMENTED_LABELS, LABELS];
  return existsSync(join(root, first)) ? first : second;
}
