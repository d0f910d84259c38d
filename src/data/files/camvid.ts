/**
 * CamVid (Brostow, Fauqueur, Cipolla 2009) with the 11 classes, sizes and splits of SegNet:
 * `<root>/<split>/*.png`, `<root>/<split>annot/*.png`, and the list `<root>/<split>.lst`.
 */
import { join } from 'node:path';
import { classTable } from './classTable.js';
import { fileDataset } from './fileDataset.js';
import { filesBelow, readListFile } from './fileList.js';
import { DataError, type Dataset } from '../types.js';

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
const VOID = { id: CAMVID_CLASSES.length, name: 'void', colour: [0, 0, 0], ignore: true } as const;

export const CAMVID_TABLE = classTable([
  ...CAMVID_CLASSES.map(([name, colour], id) => ({ id, name, colour, ignore: false })),
  VOID,
]);

export interface CamvidOptions {
  /** The folder that holds `train`, `trainannot`, `train.lst` … */
  readonly root: string;
  /** `train`, `val`, or any other split in the folder. */
  readonly split: string;
  /** Don't require or read label files. */
  readonly unlabelled?: boolean;
}

/**
 * Opens the samples in `<split>.lst` or, without that file, the PNGs of the split's folder in name order.
 *
 * @throws DataError when the list is empty or names a missing file.
 */
export function camvid({ root, split, unlabelled = false }: CamvidOptions): Dataset {
  const files = readNames(root, split).map((name) => ({
    name,
    imageFile: join(root, split, `${name}.png`),
    labelFile: unlabelled ? null : join(root, `${split}annot`, `${name}.png`),
  }));
  return fileDataset({
    name: `camvid/${split}`,
    identity: `camvid 1 ${CAMVID_CLASSES.length}`,
    table: CAMVID_TABLE,
    values: 'index',
    files,
  });
}

function readNames(root: string, split: string): string[] {
  const list = join(root, `${split}.lst`);
  const lines = readListFile(list);
  if (lines === null) return readFolder(join(root, split), list);
  return lines.map(({ fields, line }) => {
    const [name, ...more] = fields;
    if (more.length > 0 || /[/\\]/.test(name!)) {
      throw new DataError(
        `${list}, line ${line}: got ${JSON.stringify(fields.join(' '))}, wanted a bare file name without .png`,
      );
    }
    return name!;
  });
}

function readFolder(folder: string, list: string): string[] {
  let names: string[];
  try {
    names = filesBelow(folder, ['.png']);
  } catch (error) {
    throw new DataError(`${list}: no such file; in its place ${(error as Error).message}`, {
      cause: error,
    });
  }
  // Without subfolders: the names in a list are bare, too.
  const samples = names.filter((name) => !name.includes('/')).map((name) => name.slice(0, -4));
  if (samples.length === 0) throw new DataError(`${folder}: got no PNG, wanted at least one`);
  return samples;
}
