/** The images given to a command: files, and folders including all subfolders. */
import { statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { filesBelow } from '../../src/data/files/fileList.js';
import { IMAGE_ENDINGS } from '../../src/data/files/folder.js';
import { type ImageOptions, readRgb } from '../../src/data/files/imageFiles.js';
import { DataError } from '../../src/data/types.js';
import { UsageError } from './command.js';
import { reportWarning, type SkippedFiles } from './skippedFiles.js';

const ENDINGS = [...IMAGE_ENDINGS, '.gif', '.avif'];

export interface ImageInput {
  readonly file: string;
  /** The file's name without extension; for an image below a given folder, its relative path. */
  readonly name: string;
}

/**
 * Lists images in the given order, those of a folder by name. Throws UsageError if there are none or
 * two share a name, as their pictures would overwrite each other; DataError for a folder without images.
 */
export function listImages(inputs: readonly string[]): ImageInput[] {
  if (inputs.length === 0) throw new UsageError('predict: no images given');
  const images = inputs.flatMap((input) =>
    isFolder(input) ? imagesIn(input) : [{ file: input, name: withoutEnding(basename(input)) }],
  );
  const names = new Set<string>();
  for (const { name } of images) {
    if (names.has(name)) throw new UsageError(`predict: two images are called ${name}`);
    names.add(name);
  }
  return images;
}

/**
 * Reads all images once, so that a broken one is found before any prediction is made or picture written. Reports
 * decoders' warnings. Returns those that are whole.
 *
 * @param skipped broken images are reported to it and left out; default: a DataError naming the file is thrown
 */
export async function checkImages(
  images: readonly ImageInput[],
  reading: ImageOptions,
  skipped?: SkippedFiles,
): Promise<ImageInput[]> {
  const whole = [];
  for (const image of images) {
    try {
      const { warning } = await readRgb(image.file, reading);
      if (warning !== undefined) reportWarning(warning);
      whole.push(image);
    } catch (error) {
      if (skipped === undefined || !(error instanceof DataError)) throw error;
      skipped.add(error);
    }
  }
  return whole;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function imagesIn(folder: string): ImageInput[] {
  const files = filesBelow(folder, ENDINGS);
  if (files.length === 0) throw new DataError(`${folder}: no image in it, wanted at least one`);
  return files.map((path) => ({ file: join(folder, path), name: withoutEnding(path) }));
}

function withoutEnding(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}
