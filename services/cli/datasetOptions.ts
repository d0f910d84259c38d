/** The options by which a command names a dataset. */
import { openDataset } from '../../src/data/datasets.js';
import type { Dataset } from '../../src/data/types.js';
import { UsageError } from './command.js';

/** For node:util's parseArgs. */
export const DATASET_OPTIONS = {
  data: { type: 'string' },
  root: { type: 'string' },
  split: { type: 'string', default: 'val' },
  samples: { type: 'string', default: '100' },
  height: { type: 'string', default: '128' },
  width: { type: 'string', default: '256' },
  seed: { type: 'string', default: '0' },
} as const;

export const DATASET_USAGE = `  --data KIND     camvid or synthetic
  --split NAME    train or val (default val)
  --root DIR      camvid: the folder with <split>/, <split>annot/ and <split>.lst
  --samples N --height PIXELS --width PIXELS --seed N
                  synthetic: number and size of the scenes (default 100, 128×256, seed 0)`;

export interface DatasetValues {
  readonly data?: string | undefined;
  readonly root?: string | undefined;
  readonly split: string;
  readonly samples: string;
  readonly height: string;
  readonly width: string;
  readonly seed: string;
}

/** Throws UsageError for options that don't name a dataset, DataError where it can't be opened. */
export function datasetFromOptions(values: DatasetValues): Dataset {
  switch (values.data) {
    case 'camvid':
      if (values.root === undefined) throw new UsageError('--root: wanted for --data camvid');
      return openDataset({ kind: 'camvid', root: values.root, split: values.split });
    case 'synthetic': {
      const { split } = values;
      if (split !== 'train' && split !== 'val') {
        throw new UsageError(`--split: ${split} given, wanted train or val`);
      }
      return openDataset({
        kind: 'synthetic',
        split,
        samples: wholeNumber('--samples', values.samples, 1),
        height: wholeNumber('--height', values.height, 1),
        width: wholeNumber('--width', values.width, 1),
        seed: wholeNumber('--seed', values.seed, 0),
      });
    }
    default:
      throw new UsageError(`--data: ${values.data ?? 'nothing'} given, wanted camvid or synthetic`);
  }
}

export function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`${option}: ${text} given, wanted a whole number of at least ${least}`);
  }
  return value;
}
