/** An image file and its label file as one sample: what every dataset in files shares. */
import { readLabels, readRgb } from './imageFiles.js';
import { DataError, type Sample } from './types.js';

/** In a label table: a number that no label file may hold. */
const INVALID = -1;

/**
 * The class of every number that a label file can hold.
 *
 * @param pairs [number in the file, class or IGNORE_LABEL]; all other numbers are errors.
 */
export function labelTable(pairs: Iterable<readonly [number, number]>): Int16Array {
  const table = new Int16Array(256).fill(INVALID);
  for (const [stored, label] of pairs) table[stored] = label;
  return table;
}

/**
 * @param table of `labelTable`: [256].
 * @throws DataError when a file can't be read, the sizes differ, or a label isn't in the table.
 */
export async function loadLabelledImage(
  imageFile: string,
  labelFile: string,
  table: Int16Array,
): Promise<Sample> {
  const [image, stored] = await Promise.all([readRgb(imageFile), readLabels(labelFile)]);
  if (image.height !== stored.height || image.width !== stored.width) {
    throw new DataError(
      `${labelFile}: got ${stored.height}×${stored.width} labels (height×width), wanted ${image.height}×${image.width} as in ${imageFile}`,
    );
  }
  const { height, width, rgb } = image;
  const labels = new Uint8Array(height * width);
  for (let i = 0; i < labels.length; i++) {
    const label = table[stored.values[i]!]!;
    if (label === INVALID) {
      throw new DataError(
        `${labelFile}: got label ${stored.values[i]} at row ${Math.floor(i / width)}, column ${i % width}, wanted ${accepted(table)}`,
      );
    }
    labels[i] = label;
  }
  return { height, width, rgb, labels };
}

/** The numbers that the table knows, runs shortened: "0–11 or 255". */
function accepted(table: Int16Array): string {
  const runs: string[] = [];
  for (let first = 0; first < table.length; first++) {
    if (table[first] === INVALID) continue;
    let last = first;
    while (last + 1 < table.length && table[last + 1] !== INVALID) last++;
    runs.push(first === last ? `${first}` : `${first}–${last}`);
    first = last;
  }
  return runs.join(' or ');
}
