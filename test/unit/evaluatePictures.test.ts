/** Pictures of labels and predictions. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { readLabels } from '../../src/data/files/labelFiles.js';
import { IGNORE_LABEL } from '../../src/data/types.js';
import { shrink } from '../../src/evaluate/cells.js';
import { errorMap, IGNORED, RIGHT, WRONG } from '../../src/evaluate/errorMap.js';
import { generalPalette } from '../../src/data/generalPalette.js';
import { paletteOf } from '../../src/evaluate/palette.js';
import { gridPicture, overlay, stripPicture } from '../../src/evaluate/pictures.js';
import { above, beside, colourLabels, encodeGreyPng } from '../../src/evaluate/raster.js';
import { PALETTE, twoHalves } from '../support/datasets/twoHalves.js';

test('rasters: colours by class, black if ignored, white gaps, sizes checked', () => {
  const map = { height: 1, width: 3, labels: Uint8Array.of(2, 0, IGNORE_LABEL) };
  const coloured = colourLabels(map, PALETTE);
  assert.deepEqual([...coloured.rgb], [0, 0, 255, 255, 0, 0, 0, 0, 0]);
  const row = beside([coloured, coloured]);
  assert.deepEqual([row.height, row.width], [1, 10]);
  assert.deepEqual([...row.rgb.subarray(9, 21)], Array(12).fill(255));
  assert.deepEqual([...row.rgb.subarray(21)], [...coloured.rgb]);
  const column = above([coloured, coloured]);
  assert.deepEqual([column.height, column.width], [6, 3]);
  assert.throws(() => beside([coloured, column]), /height: 6×3 given/);
  const mixed = overlay({ height: 1, width: 3, rgb: new Uint8Array(9) }, map.labels, PALETTE);
  assert.deepEqual([...mixed.rgb], [0, 0, 140, 140, 0, 0, 0, 0, 0]);
});

test('pictures: a strip and a grid are PNGs with the right pixels', async () => {
  const sample = twoHalves(0, 2);
  const prediction = sample.labels.map((label) => (label === 0 ? 1 : label));
  const strip = await sharp(await stripPicture(sample, prediction, PALETTE))
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.deepEqual([strip.info.width, strip.info.height], [8 * 4 + 12, 4]);
  // Class 0 is predicted as 1: green where the truth is red; the fourth picture shows wrong, then right.
  assert.deepEqual([...strip.data.subarray(24 * 3, 25 * 3)], [0, 255, 0]);
  assert.deepEqual([...strip.data.subarray(36 * 3, 37 * 3)], [...WRONG]);
  assert.deepEqual([...strip.data.subarray(43 * 3, 44 * 3)], [...RIGHT]);
  const grid = await gridPicture(
    [sample, sample],
    [{ label: 'teacher', maps: [prediction, sample.labels] }],
    PALETTE,
  );
  assert.deepEqual(grid.rowLabels, ['image', 'truth', 'teacher']);
  const cell = await sharp(grid.images[2]![0]!.png).raw().toBuffer();
  assert.deepEqual([...cell.subarray(0, 3)], [0, 255, 0]);
  const sheet = await sharp(grid.sheet.png).metadata();
  assert.deepEqual([sheet.width, sheet.height], [4 + 4 + 8 + 4 + 8, 4 * 3 + 8]);
  await assert.rejects(
    gridPicture([sample], [{ label: 'teacher', maps: [] }], PALETTE),
    /teacher: 0 maps given, wanted 1/,
  );
});

test('error map: wrong pixels red, right ones white, ignored ones grey', () => {
  const sample = { height: 1, width: 3, labels: Uint8Array.of(1, 2, IGNORE_LABEL) };
  const { rgb } = errorMap(sample, Uint8Array.of(1, 1, 1));
  assert.deepEqual([...rgb], [...RIGHT, ...WRONG, ...IGNORED]);
  assert.throws(() => errorMap(sample, Uint8Array.of(1)), /prediction: 1 pixels given, wanted 3/);
});

test('a grid with errors and samples of two sizes: the smaller gets a margin on the sheet', async () => {
  const small = twoHalves(0, 2);
  const large = { height: 2, width: 12, rgb: new Uint8Array(72), labels: new Uint8Array(24) };
  const maps = [small.labels, large.labels.map(() => 1)];
  const grid = await gridPicture([small, large], [{ label: 'net', maps, errors: true }], PALETTE);
  assert.deepEqual(grid.rowLabels, ['image', 'truth', 'net', 'errors']);
  const right = await sharp(grid.images[3]![0]!.png).raw().toBuffer();
  assert.ok(
    right.every((value) => value === 255),
    'errors where there are none',
  );
  const wrong = await sharp(grid.images[3]![1]!.png).raw().toBuffer();
  assert.deepEqual([...wrong.subarray(0, 3)], [...WRONG]);
  assert.deepEqual([grid.images[0]![1]!.width, grid.images[0]![1]!.height], [12, 2]);
  const sheet = await sharp(grid.sheet.png).metadata();
  assert.deepEqual([sheet.width, sheet.height], [6 + 4 + 12 + 4 + 12, 4 * 4 + 12]);
});

test('large pictures are shrunk for a report; class maps keep their colours', async () => {
  const labels = Uint8Array.from({ length: 1280 * 4 }, (_, i) => (i % 1280 < 640 ? 0 : 2));
  const wide = colourLabels({ height: 4, width: 1280, labels }, PALETTE);
  const map = await shrink(wide, 'map');
  assert.deepEqual([map.height, map.width], [2, 640]);
  const pixels = Array.from({ length: 1280 }, (_, i) => map.rgb.slice(3 * i, 3 * i + 3).join());
  assert.deepEqual([...new Set(pixels)].sort(), ['0,0,255', '255,0,0']);
  const small = colourLabels({ height: 1, width: 3, labels: Uint8Array.of(0, 1, 2) }, PALETTE);
  assert.equal(await shrink(small, 'photo'), small);
});

test('class numbers survive a round trip as grey values', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-grey-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const labels = Int32Array.of(0, 3, 18, 255);
  const file = join(folder, 'ids.png');
  writeFileSync(file, await encodeGreyPng({ height: 2, width: 2, labels }));
  const { values } = await readLabels(file);
  assert.deepEqual([...values], [...labels]);
});

test("palettes: a known dataset's for its classes, else the VOC colour map", () => {
  assert.deepEqual(generalPalette(9).slice(1, 4), [
    [128, 0, 0],
    [0, 128, 0],
    [128, 128, 0],
  ]);
  assert.deepEqual(generalPalette(9)[8], [64, 0, 0]);
  const camvid = ['sky', 'building', 'pole', 'road', 'sidewalk', 'tree', 'sign', 'fence'];
  const whole = paletteOf([...camvid, 'car', 'pedestrian', 'bicyclist']);
  assert.deepEqual(whole[3], [128, 64, 128]);
  assert.deepEqual(paletteOf(camvid), generalPalette(8));
});
