/**
 * CamVid (Brostow, Fauqueur, Cipolla 2009) with the 11 classes, sizes and splits of SegNet:
 * `<root>/<split>/*.png`, `<root>/<split>annot/*.png`, and the list `<root>/<split>.lst`.
 */
import { join } from 'node:path';
import { classTable } from './classTable.js';
import { type FileOptions, faultySample, fileDataset, type SampleFiles } from './fileDataset.js';
import { filesBelow, type ListLine, readListFile } from './fileList.js';
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

export interface CamvidOptions extends FileOptions {
  /** The folder that holds `train`, `trainannot`, `train.lst` … */
  readonly root: string;
  /** `train`, `val`, or any other split in the folder. */
  readonly split: string;
  /** A list in place of `<root>/<split>.lst`; null: that one, if it is there. */
  readonly list?: string | null;
}

/**
 * Opens the samples in `<split>.lst` or, without that file, the PNGs of the split's folder in name order. A line of a
 * list names an image, bare or as `val/x.png valannot/x.png`, as the official lists have it.
 *
 * @throws DataError when the list is empty or names a missing file.
 */
export function camvid(options: CamvidOptions): Dataset {
  const { split, tolerant = false } = options;
  return fileDataset({
    name: `camvid/${split}`,
    identity: `camvid 1 ${CAMVID_CLASSES.length}`,
    table: CAMVID_TABLE,
    values: 'index',
    files: readSamples(options),
    tolerant,
  });
}

function readSamples(options: CamvidOptions): SampleFiles[] {
  const { root, split, list: given = null } = options;
  const list = given ?? join(root, `${split}.lst`);
  const lines = readListFile(list);
  if (lines === null && given !== null) throw new DataError(`${list}: no such file`);
  return lines === null
    ? readFolder(join(root, split), list).map((name) => sampleOf(name, options))
    : lines.map((line) => sampleOfLine(list, line, options));
}

function sampleOf(name: string, { root, split, unlabelled = false }: CamvidOptions): SampleFiles {
  return {
    name,
    imageFile: join(root, split, `${name}.png`),
    labelFile: unlabelled ? null : join(root, `${split}annot`, `${name}.png`),
  };
}

/** The sample of a line, whose folders, if it has any, are those of the split. */
function sampleOfLine(
  list: string,
  { fields, line }: ListLine,
  options: CamvidOptions,
): SampleFiles {
  const { split } = options;
  const paths = fields.map((field) => field.split('/').filter((part) => part !== ''));
  const [image = [], label = image, ...more] = paths;
  const name = image.at(-1)?.replace(/\.png$/i, '');
  const isIn = (path: readonly string[], folder: string) =>
    path.length === 1 || path.at(-2) === folder;
  const fits =
    isIn(image, split) &&
    (label === image || (isIn(label, `${split}annot`) && label.at(-1) === image.at(-1)));
  if (name === undefined || name === '' || !fits || more.length > 0) {
    const given = fields.join(' ');
    return faultySample(
      given,
      `${list}, line ${line}: got ${JSON.stringify(given)}, wanted a sample's name, or ${split}/<name>.png ${split}annot/<name>.png`,
    );
  }
  return sampleOf(name, options);
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
