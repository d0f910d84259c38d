/** The options by which a command names a dataset. */
import { type DatasetConfig, openDataset } from '../../src/data/datasets.js';
import type { Dataset } from '../../src/data/types.js';
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
  split: { type: 'string', default: 'val' },
  samples: { type: 'string', default: '100' },
  height: { type: 'string', default: '128' },
  width: { type: 'string', default: '256' },
  seed: { type: 'string', default: '0' },
} as const;

export const DATASET_USAGE = `  --data KIND     camvid, cityscapes, folder or synthetic
  --split NAME    train or val (default val); for camvid and cityscapes also any other split
  --root DIR      camvid: the folder with <split>/, <split>annot/ and <split>.lst
                  cityscapes: the folder with leftImg8bit/ and gtFine/
  --list FILE     cityscapes: one image and its label file per line, instead of the split's folders
  --images DIR --labels DIR --class-table FILE
                  folder: images, label PNGs with the same names, and the table of classes, or camvid
                  or cityscapes for theirs
  --label-values index|colour
                  folder: the values of the label PNGs (default index)
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
  readonly split: string;
  readonly samples: string;
  readonly height: string;
  readonly width: string;
  readonly seed: string;
}

/** Throws UsageError for options that don't name a dataset, DataError if it can't be opened. */
export function datasetFromOptions(values: DatasetValues): Dataset {
  return openDataset(datasetConfig(values));
}

/** Throws UsageError for options that don't name a dataset. */
export function datasetConfig(values: DatasetValues): DatasetConfig {
  const { data, split } = values;
  switch (data) {
    case 'camvid':
      return { kind: 'camvid', root: wanted(values, 'root'), split };
    case 'cityscapes': {
      const { list = null } = values;
      return { kind: 'cityscapes', root: wanted(values, 'root'), split, list };
    }
    case 'folder':
      return {
        kind: 'folder',
        split,
        imageFolder: wanted(values, 'images'),
        labelFolder: wanted(values, 'labels'),
        classTable: wanted(values, 'class-table'),
        labelValues: oneOf('--label-values', values['label-values'], ['index', 'colour']),
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
        `--data: ${data ?? 'nothing'} given, wanted camvid, cityscapes, folder or synthetic`,
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

export function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`${option}: ${text} given, wanted a whole number of at least ${least}`);
  }
  return value;
}
