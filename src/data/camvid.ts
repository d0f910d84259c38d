/**
 * CamVid (Brostow, Fauqueur, Cipolla 2009) with the 11 classes, sizes and splits of SegNet:
 * `<root>/<split>/*.png`, `<root>/<split>annot/*.png`, and the list `<root>/<split>.lst`.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { labelTable, loadLabelledImage } from './labelledImage.js';
import { DataError, type Dataset, IGNORE_LABEL } from './types.js';

/** Name and colour of each class, in the order of the labels. */
export const CAMVID_CLASSES = [
  ['sky', [128, 128, 128]],
  ['building', [128, 0, 0]],
  ['pole', [192, 192, 128]],
  ['road', [128, 64, 128]],
  ['sidewalk', [0, 0, 192]],
  ['tree', [128, 128, 0]],
  ['sign', [192, 128, 128]],
  ['fence', [64, 64, 128]],
  ['car', [64, 0, 128]],
  ['pedestrian', [64, 64, 0]],
  ['bicyclist', [0, 128, 192]],
] as const;

/** The 12th class of the files is void. */
const VOID = CAMVID_CLASSES.length;

const TABLE = labelTable([
  ...CAMVID_CLASSES.map((_, label) => [label, label] as const),
  [VOID, IGNORE_LABEL],
  [IGNORE_LABEL, IGNORE_LABEL],
]);

export interface CamvidOptions {
  /** The folder that holds `train`, `trainannot`, `train.lst` … */
  readonly root: string;
  /** `train`, `val`, or whatever else the folder has. */
  readonly split: string;
}

/**
 * Without `<split>.lst`, the PNGs of the split's folder in the order of their names.
 *
 * @throws DataError when the list is empty or names a file that isn't there.
 */
export function camvid({ root, split }: CamvidOptions): Dataset {
  const samples = readList(root, split);
  const imageFile = (name: string) => join(root, split, `${name}.png`);
  const labelFile = (name: string) => join(root, `${split}annot`, `${name}.png`);
  const hash = createHash('sha256').update(`camvid 1 ${CAMVID_CLASSES.length}\n`);
  for (const name of samples) {
    hash.update(`${name} ${fileBytes(imageFile(name))} ${fileBytes(labelFile(name))}\n`);
  }
  return {
    name: `camvid/${split}`,
    classNames: CAMVID_CLASSES.map(([name]) => name),
    palette: CAMVID_CLASSES.map(([, colour]) => colour),
    samples,
    digest: hash.digest('hex'),
    async load(index) {
      const name = samples[index];
      if (name === undefined) {
        throw new DataError(
          `camvid/${split}: got sample ${index}, wanted 0 to ${samples.length - 1}`,
        );
      }
      return loadLabelledImage(imageFile(name), labelFile(name), TABLE);
    },
  };
}

function readList(root: string, split: string): string[] {
  const list = join(root, `${split}.lst`);
  let names: string[];
  try {
    names = readFileSync(list, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw dataError(list, error);
    return readFolder(join(root, split), list);
  }
  if (names.length === 0)
    throw new DataError(`${list}: got no line, wanted one sample name a line`);
  for (const [i, name] of names.entries()) {
    if (/[\s/\\]/.test(name)) {
      throw new DataError(
        `${list}, line ${i + 1}: got ${JSON.stringify(name)}, wanted a bare file name without .png`,
      );
    }
  }
  return names;
}

function readFolder(folder: string, list: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new DataError(`${list}: no such file, and no folder ${folder} in its place`, {
      cause: error,
    });
  }
  const samples = names.filter((name) => name.endsWith('.png')).map((name) => name.slice(0, -4));
  if (samples.length === 0) throw new DataError(`${folder}: got no PNG, wanted at least one`);
  return samples.sort();
}

function fileBytes(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    throw dataError(file, error);
  }
}

function dataError(file: string, error: unknown): DataError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new DataError(`${file}: ${code === 'ENOENT' ? 'no such file' : message}`, {
    cause: error,
  });
}
