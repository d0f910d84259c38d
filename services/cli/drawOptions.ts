/** The pictures of a prediction that a command writes, and their file names. */
import { join } from 'node:path';
import { DataError, type Sample } from '../../src/data/types.js';
import type { LabelArray } from '../../src/evaluate/confusion.js';
import { errorMap } from '../../src/evaluate/errorMap.js';
import { overlay, stripPicture } from '../../src/evaluate/pictures.js';
import {
  colourLabels,
  encodeGreyPng,
  encodePng,
  type Palette,
  type Raster,
} from '../../src/evaluate/raster.js';
import { replaceFile } from '../../src/run/durableFiles.js';
import { UsageError } from './command.js';

/** The pictures that need no labels. */
export const PREDICTION_PICTURES = ['classes', 'overlay', 'ids'] as const;
export const PICTURES = ['strip', ...PREDICTION_PICTURES, 'errors'] as const;

export type Picture = (typeof PICTURES)[number];

/** Parses comma-separated names. Throws UsageError. */
export function picturesFromOption<Known extends Picture>(
  text: string,
  known: readonly Known[],
): Known[] {
  const wanted = text.split(',').map((name) => name.trim());
  return wanted.map((name) => {
    const picture = known.find((one) => one === name);
    if (picture !== undefined) return picture;
    throw new UsageError(`--draw: ${name || 'nothing'} given, wanted some of ${known.join(', ')}`);
  });
}

export interface Predicted {
  readonly image: Raster;
  readonly prediction: LabelArray;
  readonly palette: Palette;
}

/** Writes `<path>-classes.png` and so on, each atomically; resolves with their paths. */
export async function writePredictionPictures(
  path: string,
  { image, prediction, palette }: Predicted,
  pictures: readonly (typeof PREDICTION_PICTURES)[number][],
): Promise<string[]> {
  const { height, width } = image;
  const map = { height, width, labels: prediction };
  const makers = {
    classes: () => encodePng(colourLabels(map, palette)),
    overlay: () => encodePng(overlay(image, prediction, palette)),
    ids: () => encodeGreyPng(map),
  };
  return writeAll(pictures.map((picture) => [`${path}-${picture}.png`, makers[picture]]));
}

/** Throws DataError if the pictures of two samples would overwrite each other. */
export function checkPictureNames(samples: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const sample of samples) {
    const name = pictureName(sample);
    const other = seen.get(name) ?? sample;
    if (other !== sample) {
      throw new DataError(`--pictures: samples ${other} and ${sample}: both would be ${name}.png`);
    }
    seen.set(name, sample);
  }
}

function pictureName(sample: string): string {
  return sample.replaceAll('/', '-');
}

/** Also writes the pictures that compare with the labels; the strip is `<folder>/<name>.png`. */
export async function writeSamplePictures(
  folder: string,
  { name, sample, prediction }: { name: string; sample: Sample; prediction: LabelArray },
  palette: Palette,
  pictures: readonly Picture[],
): Promise<void> {
  const path = join(folder, pictureName(name));
  const plain = PREDICTION_PICTURES.filter((picture) => pictures.includes(picture));
  await writePredictionPictures(path, { image: sample, prediction, palette }, plain);
  const against: [string, () => Promise<Uint8Array>][] = [];
  if (pictures.includes('strip')) {
    against.push([`${path}.png`, () => stripPicture(sample, prediction, palette)]);
  }
  if (pictures.includes('errors')) {
    against.push([`${path}-errors.png`, () => encodePng(errorMap(sample, prediction))]);
  }
  await writeAll(against);
}

async function writeAll(
  files: readonly (readonly [string, () => Promise<Uint8Array>])[],
): Promise<string[]> {
  for (const [file, make] of files) await replaceFile(file, await make());
  return files.map(([file]) => file);
}
