/** Loads an image file and its label file as one sample. */
import { type ClassTable, colourKey, INVALID } from './files/classTable.js';
import { type ImageOptions, readRgb } from './files/imageFiles.js';
import { type DecodedPixels, readColours, readLabels } from './files/labelFiles.js';
import { DataError, type Sample, UNLABELLED } from './types.js';

/** What label files hold. index: class numbers (grey, or palette indices); colour: class colours. */
export type LabelValues = 'index' | 'colour';

export interface LabelMeaning extends ImageOptions {
  readonly table: ClassTable;
  readonly values: LabelValues;
}

/**
 * @throws DataError when a file can't be read, the sizes differ, or a label isn't in the table; it
 *   names the file and the pixel's value and position.
 */
export async function loadLabelledImage(
  imageFile: string,
  labelFile: string,
  { table, values, ...reading }: LabelMeaning,
): Promise<Sample> {
  const read = values === 'index' ? readLabels : readColours;
  const [image, stored] = await both(readRgb(imageFile, reading), read(labelFile));
  if (image.height !== stored.height || image.width !== stored.width) {
    throw new DataError(
      `${labelFile}: got ${stored.height}×${stored.width} labels (height×width), wanted ${image.height}×${image.width} as in ${imageFile}`,
    );
  }
  const labels =
    values === 'index'
      ? classesOfIds(labelFile, stored, table)
      : classesOfColours(labelFile, stored, table);
  return { ...image, labels };
}

/** Where both fail, the error has both messages: whoever repairs one file should know of the other. */
async function both<One, Other>(one: Promise<One>, other: Promise<Other>): Promise<[One, Other]> {
  const ends = await Promise.allSettled([one, other]);
  const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  if (reasons.length === 2 && reasons.every((reason) => reason instanceof DataError)) {
    throw new DataError(reasons.map(({ message }) => message).join('; '), { cause: reasons[0] });
  }
  if (reasons.length > 0) throw reasons[0];
  return [await one, await other];
}

/** Loads an image with every pixel UNLABELLED. Throws DataError like readRgb. */
export async function loadUnlabelledImage(
  imageFile: string,
  reading: ImageOptions = {},
): Promise<Sample> {
  const image = await readRgb(imageFile, reading);
  return { ...image, labels: new Uint8Array(image.height * image.width).fill(UNLABELLED) };
}

function classesOfIds(
  file: string,
  { values, width }: DecodedPixels,
  { classOfId }: ClassTable,
): Uint8Array {
  const labels = new Uint8Array(values.length);
  for (let i = 0; i < labels.length; i++) {
    const label = classOfId[values[i]!]!;
    if (label === INVALID) {
      throw new DataError(
        `${file}: got label ${values[i]} ${place(i, width)}, wanted ${accepted(classOfId)}`,
      );
    }
    labels[i] = label;
  }
  return labels;
}

function classesOfColours(
  file: string,
  { values, height, width }: DecodedPixels,
  { classOfColour }: ClassTable,
): Uint8Array {
  const labels = new Uint8Array(height * width);
  // Neighbours mostly have the same colour, so one look-up serves a run.
  let lastKey = -1;
  let lastLabel = 0;
  for (let i = 0; i < labels.length; i++) {
    const [red, green, blue] = [values[3 * i]!, values[3 * i + 1]!, values[3 * i + 2]!];
    const key = colourKey(red, green, blue);
    if (key !== lastKey) {
      const label = classOfColour.get(key);
      if (label === undefined) {
        throw new DataError(
          `${file}: got colour [${red}, ${green}, ${blue}] ${place(i, width)}, wanted one of the class table's`,
        );
      }
      lastKey = key;
      lastLabel = label;
    }
    labels[i] = lastLabel;
  }
  return labels;
}

function place(i: number, width: number): string {
  return `at row ${Math.floor(i / width)}, column ${i % width}`;
}

/** The numbers in the table, as ranges: "0–11 or 255". */
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
