/**
 * Cityscapes (Cordts et al. 2016) with fine annotations and the 19 evaluated classes:
 * `<root>/leftImg8bit/<split>/<city>/*_leftImg8bit.png` with
 * `<root>/gtFine/<split>/<city>/*_gtFine_labelIds.png`, or the pairs of a list file.
 */
import { basename, join } from 'node:path';
import { CITYSCAPES_TABLE, CITYSCAPES_TRAIN_TABLE } from './cityscapesClasses.js';
import { type FileOptions, faultySample, fileDataset, type SampleFiles } from './fileDataset.js';
import { filesBelow, type ListLine, readListFile } from './fileList.js';
import { DataError, type Dataset } from '../types.js';

const IMAGE_ENDING = '_leftImg8bit.png';
const LABEL_ENDING = '_gtFine_labelIds.png';
const TRAIN_LABEL_ENDING = '_labelTrainIds.png';

/** With `unlabelled`, lines of a list may omit label files. */
export interface CityscapesOptions extends FileOptions {
  /** The folder that holds `leftImg8bit` and `gtFine`. */
  readonly root: string;
  /** `train`, `val` or `test`. */
  readonly split: string;
  /**
   * A file with one image and its label file per line, separated by tab or space, relative to `root`, like
   * the lists of the official CIRKD code; null: every image of the split, in path order.
   */
  readonly list?: string | null;
}

/** @throws DataError when there is no image or list, or one of its lines is wrong, or names a missing file. */
export function cityscapes(options: CityscapesOptions): Dataset {
  const { split, list = null, tolerant = false } = options;
  return fileDataset({
    name: `cityscapes/${split}`,
    identity: 'cityscapes 1 19',
    table: CITYSCAPES_TABLE,
    values: 'index',
    files: list === null ? samplesOfSplit(options) : samplesOfList(list, options),
    tolerant,
  });
}

function samplesOfSplit(options: CityscapesOptions): SampleFiles[] {
  const { root, split } = options;
  const below = `leftImg8bit/${split}`;
  const images = filesBelow(join(root, below), [IMAGE_ENDING.toLowerCase()]);
  if (images.length === 0) {
    throw new DataError(
      `${join(root, below)}: got no image, wanted <city>/*${IMAGE_ENDING} in its folders`,
    );
  }
  return images.map((image) => {
    const stem = image.slice(0, -IMAGE_ENDING.length);
    const label = `gtFine/${split}/${stem}${LABEL_ENDING}`;
    return sampleOf(options, `${below}/${image}`, label);
  });
}

function samplesOfList(list: string, options: CityscapesOptions): SampleFiles[] {
  const lines = readListFile(list);
  if (lines === null) throw new DataError(`${list}: no such file`);
  return lines.map((line) => sampleOfLine(list, line, options));
}

function sampleOfLine(
  list: string,
  { fields, line }: ListLine,
  options: CityscapesOptions,
): SampleFiles {
  const [image, label, ...more] = fields;
  const isWhole = label === undefined ? options.unlabelled === true : more.length === 0;
  const outside = fields.find((field) => field.split('/').includes('..'));
  if (outside !== undefined || !isWhole) {
    const given = fields.join(' ');
    return faultySample(
      given,
      `${list}, line ${line}: got ${JSON.stringify(given)}, wanted an image and its label file, both paths below the dataset's folder`,
    );
  }
  const below = (path: string) => path.replace(/^[./]*\//, '');
  return sampleOf(options, below(image!), label === undefined ? undefined : below(label));
}

/** Of paths below the root. */
function sampleOf(
  { root, unlabelled = false }: CityscapesOptions,
  image: string,
  label: string | undefined,
): SampleFiles {
  return {
    name: basename(image, image.endsWith(IMAGE_ENDING) ? IMAGE_ENDING : '.png'),
    imageFile: join(root, image),
    labelFile: unlabelled ? null : join(root, label!),
    table: label?.endsWith(TRAIN_LABEL_ENDING) ? CITYSCAPES_TRAIN_TABLE : CITYSCAPES_TABLE,
  };
}
