/** Samples of a folder of images and a folder of label files with the same names. */
import { join } from 'node:path';
import { DataError } from '../types.js';
import type { SampleFiles } from './fileDataset.js';
import { filesBelow } from './fileList.js';
import { listedFiles } from './folderList.js';

export interface ImageAndLabelFolders {
  readonly imageFolder: string;
  /** null: no labels. */
  readonly labelFolder: string | null;
  /** End of an image's name, in lower case. */
  readonly imageSuffix: string;
  readonly labelSuffix: string;
  /** See `listedFiles`; null: every image, in path order. */
  readonly list: string | null;
}

/** @throws DataError when there is no image, or the list is wrong. Doesn't look whether label files exist. */
export function samplesOfFolders(folders: ImageAndLabelFolders): SampleFiles[] {
  const { imageFolder, labelFolder, imageSuffix, labelSuffix, list } = folders;
  if (list !== null) return listedFiles(list, { ...folders, suffixes: [imageSuffix] });
  const images = filesBelow(imageFolder, [imageSuffix]);
  if (images.length === 0)
    throw new DataError(`${imageFolder}: got no image, wanted ${imageSuffix}`);
  return images.map((image) => {
    const name = image.slice(0, -imageSuffix.length);
    return {
      name,
      imageFile: join(imageFolder, image),
      labelFile: labelFolder === null ? null : join(labelFolder, `${name}${labelSuffix}`),
    };
  });
}
