/** The samples of a list file, found below the folders of a dataset, however the list writes its paths. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../types.js';
import { faultySample, type SampleFiles } from './fileDataset.js';
import { type ListLine, readListFile } from './fileList.js';

export interface ListedFolders {
  readonly imageFolder: string;
  /** null: no labels. */
  readonly labelFolder: string | null;
  /** Where a line's label file is looked for before `labelFolder`; default: there only. */
  readonly labelRoot?: string;
  /** Ends of image names, tried in this order where a line names a sample without one. */
  readonly suffixes: readonly string[];
  readonly labelSuffix: string;
}

/**
 * A line has a sample's name or path, or an image and its label file, separated by spaces, tabs or a comma. Paths may
 * have or lack the suffix, begin with a slash, and have folders in front that aren't below `imageFolder`: the longest
 * end of the path that exists there is meant. So the lists of VOC (`2007_000032`), COCO-Stuff, and the official CamVid
 * lists (`val/x.png valannot/x.png`, `/SegNet/CamVid/val/x.png …`) are read as they are.
 *
 * @returns with a fault where no file has the path, naming the list and the line.
 * @throws DataError when there is no list.
 */
export function listedFiles(list: string, folders: ListedFolders): SampleFiles[] {
  const lines = readListFile(list);
  if (lines === null) throw new DataError(`${list}: no such file`);
  const seen = new Map<string, number>();
  return lines.map((line) => {
    const files = filesOfLine(list, line, folders);
    const before = seen.get(files.name);
    if (before !== undefined) {
      const message = `${list}, line ${line.line}: ${files.name} is on line ${before}, too`;
      return faultySample(files.name, message);
    }
    if (files.fault === undefined) seen.set(files.name, line.line);
    return files;
  });
}

function filesOfLine(
  list: string,
  { fields, line }: ListLine,
  { imageFolder, labelFolder, labelRoot, suffixes, labelSuffix }: ListedFolders,
): SampleFiles {
  const faulty = (got: string, wanted: string) =>
    faultySample(got, `${list}, line ${line}: got ${JSON.stringify(got)}, wanted ${wanted}`);
  const [image = '', label, ...more] = fields;
  if (more.length > 0) {
    return faulty(fields.join(' '), 'a sample, or an image and its label file');
  }
  if (fields.some((field) => field.split('/').includes('..'))) {
    return faulty(fields.join(' '), 'paths without ..');
  }
  const path = findBelow(imageFolder, image, ['', ...suffixes]);
  if (path === null) return faulty(image, `an image below ${imageFolder}`);
  const suffix = suffixes.find((ending) => path.toLowerCase().endsWith(ending.toLowerCase())) ?? '';
  const name = path.slice(0, path.length - suffix.length);
  if (labelFolder === null) return { name, imageFile: join(imageFolder, path), labelFile: null };
  const folders = [...(labelRoot === undefined ? [] : [labelRoot]), labelFolder];
  const labelFile =
    label === undefined
      ? join(labelFolder, `${name}${labelSuffix}`)
      : folders
          .map((folder) => ({ folder, found: findBelow(folder, label, ['', labelSuffix]) }))
          .flatMap(({ folder, found }) => (found === null ? [] : [join(folder, found)]))[0];
  if (labelFile === undefined) return faulty(label!, `a label file below ${folders.join(' or ')}`);
  return { name, imageFile: join(imageFolder, path), labelFile };
}

/** The longest end of a path that, with one of the suffixes, is a file below the folder; null if none is. */
function findBelow(folder: string, path: string, suffixes: readonly string[]): string | null {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  for (let from = 0; from < parts.length; from++) {
    const end = parts.slice(from).join('/');
    for (const suffix of suffixes) {
      if (isFile(join(folder, `${end}${suffix}`))) return `${end}${suffix}`;
    }
  }
  return null;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
