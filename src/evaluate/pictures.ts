/** Pictures of predictions: strips for one image, and a grid for several networks. */
import type { Sample } from '../data/types.js';
import { type Cell, encodeCell, padded, shrink } from './cells.js';
import type { LabelArray } from './confusion.js';
import { errorMap } from './errorMap.js';
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

/** Opacity of the class colours in an overlay. */
const OVERLAY_SHARE = 0.55;
/** Width of the column of row names, relative to a picture's width. */
const NAME_WIDTH_SHARE = 0.5;

/** image | truth | prediction | errors, as one PNG. */
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
      errorMap(sample, prediction),
    ]),
  );
}

/** The image overlaid with the colours of the predicted classes. */
export function overlay(image: Raster, prediction: LabelArray, palette: Palette): Raster {
  const { height, width } = image;
  return blend(image, colourLabels({ height, width, labels: prediction }, palette), OVERLAY_SHARE);
}

/** One network's class numbers for each sample of a grid. */
export interface GridRow {
  readonly label: string;
  readonly maps: readonly LabelArray[];
  /** Add a row that shows where the network is wrong. */
  readonly errors?: boolean;
}

export interface GridPicture {
  /** "image", "truth", then one per network, each followed by "errors" if requested. */
  readonly rowLabels: string[];
  /** [row][sample] */
  readonly images: Cell[][];
  /** Everything on one sheet, with row names on the left. */
  readonly sheet: Cell;
}

/**
 * Rows: image, truth, and one or two per network; columns: one per sample. Large pictures are shrunk;
 * smaller ones get a white margin on the sheet.
 */
export async function gridPicture(
  samples: readonly Sample[],
  networks: readonly GridRow[],
  palette: Palette,
): Promise<GridPicture> {
  const rows = [
    { label: 'image', kind: 'photo' as const, rasters: samples.map(imageOf) },
    { label: 'truth', kind: 'map' as const, rasters: samples.map((s) => colourLabels(s, palette)) },
    ...networks.flatMap((network) => networkRows(samples, network, palette)),
  ];
  const rasters = await Promise.all(
    rows.map((row) => Promise.all(row.rasters.map((raster) => shrink(raster, row.kind)))),
  );
  const rowLabels = rows.map(({ label }) => label);
  return {
    rowLabels,
    images: await Promise.all(rasters.map((row) => Promise.all(row.map(encodeCell)))),
    sheet: await encodeCell(sheetOf(rowLabels, rasters)),
  };
}

function networkRows(samples: readonly Sample[], network: GridRow, palette: Palette) {
  const { label, maps, errors = false } = network;
  if (maps.length !== samples.length) {
    throw new RangeError(`${label}: ${maps.length} maps given, wanted ${samples.length}`);
  }
  const coloured = samples.map(({ height, width }, i) =>
    colourLabels({ height, width, labels: maps[i]! }, palette),
  );
  const wrong = errors
    ? [{ label: 'errors', rasters: samples.map((sample, i) => errorMap(sample, maps[i]!)) }]
    : [];
  return [{ label, rasters: coloured }, ...wrong].map((row) => ({ ...row, kind: 'map' as const }));
}

function imageOf({ height, width, rgb }: Sample): Raster {
  return { height, width, rgb };
}

function sheetOf(labels: readonly string[], rows: readonly (readonly Raster[])[]): Raster {
  const height = Math.max(1, ...rows.flat().map((raster) => raster.height));
  const width = Math.max(2, ...rows.flat().map((raster) => raster.width));
  return above(
    rows.map((row, i) =>
      beside([
        textRaster(labels[i]!, height, Math.ceil(width * NAME_WIDTH_SHARE)),
        ...row.map((raster) => padded(raster, height, width)),
      ]),
    ),
  );
}
