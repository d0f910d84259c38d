/** The options by which a command names a dataset. */
import type { DatasetConfig } from '../../src/data/datasets.js';
import { UsageError } from './command.js';

/** For node:util's parseArgs. */
export const DATASET_OPTIONS = {
  data: { type: 'string' },
  root: { type: 'string' },
  list: { type: 'string' },
  images: { type: 'string' },
  labels: { type: 'string' },
  'class-table': { type: 'string' },
  'label-values': { type: 'string', default: 'index' },
  'image-suffix': { type: 'string' },
  'label-suffix': { type: 'string', default: '.png' },
  'reduce-zero-label': { type: 'boolean', default: false },
  'white-value': { type: 'string' },
  classes: { type: 'string', default: '171' },
  split: { type: 'string', default: 'val' },
  samples: { type: 'string', default: '100' },
  height: { type: 'string', default: '128' },
  width: { type: 'string', default: '256' },
  seed: { type: 'string', default: '0' },
} as const;

export const DATASET_USAGE = `  --data KIND     camvid, cityscapes, voc, ade20k, cocostuff, folder or synthetic
  --split NAME    train or val (default val); for datasets with --root also any other split
  --root DIR      camvid: the folder with <split>/, <split>annot/ and <split>.lst
                  cityscapes: the folder with leftImg8bit/ and gtFine/
                  voc: the folder with JPEGImages/ and SegmentationClass/ or SegmentationClassAug/
                  ade20k, cocostuff: the folder with images/ and annotations/
  --list FILE     one sample, or one image and its label file, per line, instead of the folder's files
  --images DIR --labels DIR --class-table FILE
                  folder: images, label PNGs with the same names, and the table of classes, or camvid,
                  cityscapes, voc, ade20k, cocostuff or cocostuff-182 for theirs
  --label-values index|colour
                  folder: the values of the label PNGs (default index)
  --image-suffix TEXT --label-suffix TEXT
                  folder: how names end (default: any image's ending, and .png): .jpg and _mask.png
                  for 0.jpg and 0_mask.png
  --reduce-zero-label
                  folder: label 0 is ignored, and label n means id n - 1 of the class list
  --white-value N folder: the value of white in images of more than 8 bits, such as 4095
  --classes N     cocostuff: 171 (default), or 182 as in the official code
  --samples N --height PIXELS --width PIXELS --seed N
                  synthetic: number, size and seed of the scenes (default 100, 128×256, seed 0)`;

export interface DatasetValues {
  readonly data?: string | undefined;
  readonly root?: string | undefined;
  readonly list?: string | undefined;
  readonly images?: string | undefined;
  readonly labels?: string | undefined;
  readonly 'class-table'?: string | undefined;
  readonly 'label-values': string;
  readonly 'image-suffix'?: string | undefined;
  readonly 'label-suffix': string;
  readonly 'reduce-zero-label': boolean;
  readonly 'white-value'?: string | undefined;
  readonly classes: string;
  readonly split: string;
  readonly samples: string;
  readonly height: string;
  readonly width: string;
  readonly seed: string;
}

/** Throws UsageError for options that don't name a dataset. */
export function datasetConfig(values: DatasetValues): DatasetConfig {
  const { data, split, list = null } = values;
  switch (data) {
    case 'camvid':
      return { kind: 'camvid', root: wanted(values, 'root'), split, list };
    case 'cityscapes':
      return { kind: 'cityscapes', root: wanted(values, 'root'), split, list };
    case 'voc':
      return { kind: 'voc', root: wanted(values, 'root'), split, list };
    case 'ade20k':
      return { kind: 'ade20k', root: wanted(values, 'root'), split, list };
    case 'cocostuff': {
      const all = oneOf('--classes', values.classes, ['171', '182']) === '182';
      return {
        kind: 'cocostuff',
        root: wanted(values, 'root'),
        split,
        list,
        classes: all ? 182 : 171,
      };
    }
    case 'folder':
      return {
        kind: 'folder',
        split,
        imageFolder: wanted(values, 'images'),
        labelFolder: wanted(values, 'labels'),
        classTable: wanted(values, 'class-table'),
        labelValues: oneOf('--label-values', values['label-values'], ['index', 'colour']),
        imageSuffix: values['image-suffix'] ?? null,
        labelSuffix: values['label-suffix'],
        list,
        reduceZeroLabel: values['reduce-zero-label'],
        whiteValue: whiteValueOf(values['white-value']),
      };
    case 'synthetic':
      return {
        kind: 'synthetic',
        split: oneOf('--split', split, ['train', 'val']),
        samples: wholeNumber('--samples', values.samples, 1),
        height: wholeNumber('--height', values.height, 1),
        width: wholeNumber('--width', values.width, 1),
        seed: wholeNumber('--seed', values.seed, 0),
      };
    default:
      throw new UsageError(
        `--data: ${data ?? 'nothing'} given, wanted camvid, cityscapes, voc, ade20k, cocostuff, folder or synthetic`,
      );
  }
}

function wanted(
  values: DatasetValues,
  option: 'root' | 'images' | 'labels' | 'class-table',
): string {
  const value = values[option];
  if (value === undefined) throw new UsageError(`--${option}: wanted for --data ${values.data}`);
  return value;
}

function oneOf<Choice extends string>(
  option: string,
  given: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((one) => one === given);
  if (choice === undefined) {
    throw new UsageError(`${option}: ${given} given, wanted ${choices.join(' or ')}`);
  }
  return choice;
}

/** Throws UsageError. */
export function whiteValueOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && Number.isFinite(value))) {
    throw new UsageError(`--white-value: ${text} given, wanted a number above 0`);
  }
  return value;
}

export function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`${option}: ${text} given, wanted a whole number of at least ${least}`);
  }
  return value;
}
