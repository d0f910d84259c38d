/** What a prediction looks like: strips of one image, and a grid of several networks. */
import type { Sample } from '../data/types.js';
import type { LabelArray } from './confusion.js';
import {
  above,
  beside,
  blend,
  colourLabels,
  encodePng,
  type Palette,
  type Raster,
} from './raster.js';
import { textRaster } from './textRaster.js';

/** Share of the colours in an overlay. */
const OVERLAY_SHARE = 0.55;
/** Width of the column with the rows' names, against a picture's width. */
const NAME_WIDTH_SHARE = 0.5;

/** image | truth | prediction, as one PNG. */
export async function stripPicture(
  sample: Sample,
  prediction: LabelArray,
  palette: Palette,
): Promise<Uint8Array> {
  const { height, width } = sample;
  return encodePng(
    beside([
      { height, width, rgb: sample.rgb },
      colourLabels(sample, palette),
      colourLabels({ height, width, labels: prediction }, palette),
    ]),
  );
}

/** The image with the predicted classes' colours over it. */
export function overlay(image: Raster, prediction: LabelArray, palette: Palette): Raster {
  const { height, width } = image;
  return blend(image, colourLabels({ height, width, labels: prediction }, palette), OVERLAY_SHARE);
}

/** One network's class numbers for each sample of a grid. */
export interface GridRow {
  readonly label: string;
  readonly maps: readonly LabelArray[];
}

export interface GridPicture {
  /** "image", "truth", then one a network. */
  readonly rowLabels: string[];
  /** [row][sample] */
  readonly images: { png: Uint8Array; width: number; height: number }[][];
  /** Everything on one sheet, with the rows' names at the left. */
  readonly sheet: { png: Uint8Array; width: number; height: number };
}

/** Rows image, truth, and one a network; a column a sample. All samples of one size. */
export async function gridPicture(
  samples: readonly Sample[],
  networks: readonly GridRow[],
  palette: Palette,
): Promise<GridPicture> {
  const rasters: Raster[][] = [
    samples.map(({ height, width, rgb }) => ({ height, width, rgb })),
    samples.map((sample) => colourLabels(sample, palette)),
    ...networks.map(({ label, maps }) => {
      if (maps.length !== samples.length) {
        throw new RangeError(`${label}: ${maps.length} maps given, wanted ${samples.length}`);
      }
      return samples.map(({ height, width }, i) =>
        colourLabels({ height, width, labels: maps[i]! }, palette),
      );
    }),
  ];
  const rowLabels = ['image', 'truth', ...networks.map(({ label }) => label)];
  const named = rasters.map((row, i) => beside([nameRaster(rowLabels[i]!, row), ...row]));
  return {
    rowLabels,
    images: await Promise.all(rasters.map((row) => Promise.all(row.map(encoded)))),
    sheet: await encoded(above(named)),
  };
}

function nameRaster(name: string, row: readonly Raster[]): Raster {
  const { height, width } = row[0] ?? { height: 1, width: 2 };
  return textRaster(name, height, Math.ceil(width * NAME_WIDTH_SHARE));
}

async function encoded(raster: Raster) {
  return { png: await encodePng(raster), width: raster.width, height: raster.height };
}
