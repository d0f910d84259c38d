import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { encode } from 'fast-png';
import sharp from 'sharp';
import { camvid } from '../../src/data/files/camvid.js';
import { readRgb } from '../../src/data/files/imageFiles.js';
import { readLabels } from '../../src/data/files/labelFiles.js';
import { DataError, IGNORE_LABEL } from '../../src/data/types.js';

const HEIGHT = 3;
const WIDTH = 5;
const RGB = Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, (_, i) => (i * 5) % 256);
const LABELS = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 0, 3]);

let folder: string;
let root: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'camvid-'));
});
after(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  root = await mkdtemp(join(folder, 'set-'));
  await mkdir(join(root, 'train'));
  await mkdir(join(root, 'trainannot'));
  for (const name of ['b', 'a']) {
    await writeRgb(join(root, 'train', `${name}.png`), RGB, HEIGHT, WIDTH);
    await writeGrey(join(root, 'trainannot', `${name}.png`), LABELS, HEIGHT, WIDTH);
  }
  await writeFile(join(root, 'train.lst'), 'b\na\n\n');
});

function writeRgb(file: string, data: Uint8Array, height: number, width: number) {
  return sharp(data, { raw: { height, width, channels: 3 } })
    .png()
    .toFile(file);
}

function writeGrey(file: string, data: Uint8Array, height: number, width: number) {
  return writeFile(file, encode({ data, height, width, channels: 1, depth: 8 }));
}

describe('camvid', () => {
  it('reads images and labels in list order, void as ignored', async () => {
    const dataset = camvid({ root, split: 'train' });
    assert.deepEqual(dataset.samples, ['b', 'a']);
    assert.equal(dataset.classNames.length, 11);
    assert.equal(dataset.palette.length, 11);
    const sample = await dataset.load(1);
    assert.deepEqual([sample.height, sample.width], [HEIGHT, WIDTH]);
    assert.deepEqual(sample.rgb, RGB);
    const expected = LABELS.map((label) => (label === 11 ? IGNORE_LABEL : label));
    assert.deepEqual(sample.labels, expected);
  });

  it('lists the folder, sorted, if there is no list file', async () => {
    await rm(join(root, 'train.lst'));
    assert.deepEqual(camvid({ root, split: 'train' }).samples, ['a', 'b']);
  });

  it('has a digest of names and sizes', async () => {
    const { digest } = camvid({ root, split: 'train' });
    assert.equal(camvid({ root, split: 'train' }).digest, digest);
    await writeFile(join(root, 'train.lst'), 'a\nb\n');
    assert.notEqual(camvid({ root, split: 'train' }).digest, digest);
  });

  it('refuses an empty or missing list and missing files, by name', async () => {
    await writeFile(join(root, 'train.lst'), 'b\nc\n');
    assert.throws(() => camvid({ root, split: 'train' }), {
      name: 'DataError',
      message: `${join(root, 'train', 'c.png')}: no such file`,
    });
    await writeFile(join(root, 'train.lst'), ' \n');
    assert.throws(() => camvid({ root, split: 'train' }), /train\.lst: got no line/);
    await writeFile(join(root, 'train.lst'), '../../secret\n');
    assert.throws(() => camvid({ root, split: 'train' }), /train\.lst, line 1: got/);
    assert.throws(() => camvid({ root, split: 'test' }), /test\.lst: no such file/);
    await mkdir(join(root, 'val'));
    assert.throws(() => camvid({ root, split: 'val' }), /val: got no PNG/);
  });

  it('names file, value and position of a label out of range', async () => {
    const file = join(root, 'trainannot', 'a.png');
    await writeGrey(file, LABELS.with(7, 12), HEIGHT, WIDTH);
    await assert.rejects(camvid({ root, split: 'train' }).load(1), {
      name: 'DataError',
      message: `${file}: got label 12 at row 1, column 2, wanted 0–11 or 255`,
    });
  });

  it('refuses labels of another size than the image', async () => {
    const file = join(root, 'trainannot', 'a.png');
    await writeGrey(file, LABELS, WIDTH, HEIGHT);
    await assert.rejects(camvid({ root, split: 'train' }).load(1), {
      name: 'DataError',
      message: `${file}: got 5×3 labels (height×width), wanted 3×5 as in ${join(root, 'train', 'a.png')}`,
    });
  });

  it('refuses an image or label file truncated at any length', async () => {
    for (const part of ['train', 'trainannot']) {
      const file = join(root, part, 'b.png');
      const whole = await readFile(file);
      const dataset = camvid({ root, split: 'train' });
      for (const length of [0, 7, 30, whole.length >> 1, whole.length - 13]) {
        await writeFile(file, whole.subarray(0, length));
        await assert.rejects(
          dataset.load(0),
          (error) =>
            error instanceof DataError && error.message.startsWith(`${file}: not a readable`),
          `${part}, ${length} of ${whole.length} bytes`,
        );
      }
      await writeFile(file, whole);
      await dataset.load(0);
    }
  });

  it('refuses a label file with a flipped bit', async () => {
    const file = join(root, 'trainannot', 'b.png');
    const whole = await readFile(file);
    for (let at = 8; at < whole.length - 12; at += 3) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 4;
      await writeFile(file, bytes);
      await assert.rejects(camvid({ root, split: 'train' }).load(0), DataError, `byte ${at}`);
    }
  });
});

describe('readLabels', () => {
  const palette: [number, number, number][] = [
    [9, 9, 9],
    [200, 0, 0],
    [0, 200, 0],
    [0, 0, 200],
  ];

  it('gives the indices of palette images of 1 to 8 bits, not their colours', async () => {
    const file = join(root, 'palette.png');
    for (const depth of [2, 4, 8] as const) {
      // Five pixels per row, so that rows of packed indices end inside a byte.
      const indices = Uint8Array.from({ length: 15 }, (_, i) => (i * 7) % 4);
      const rowBytes = Math.ceil((5 * depth) / 8);
      const data = new Uint8Array(3 * rowBytes);
      indices.forEach((value, i) => {
        const bit = (i % 5) * depth;
        data[Math.floor(i / 5) * rowBytes + (bit >> 3)]! |= value << (8 - depth - (bit & 7));
      });
      await writeFile(file, encode({ data, width: 5, height: 3, channels: 1, depth, palette }));
      assert.deepEqual((await readLabels(file)).values, indices, `${depth} bits`);
    }
  });

  it('refuses colours, and reads 16 bits', async () => {
    const file = join(root, 'train', 'a.png');
    await assert.rejects(readLabels(file), /got 3 channels of 8 bits/);
    const wide = join(root, 'wide.png');
    const data = Uint16Array.of(0, 1, 256, 65_535);
    await writeFile(wide, encode({ data, width: 2, height: 2, channels: 1, depth: 16 }));
    assert.deepEqual((await readLabels(wide)).values, data);
  });
});

describe('readRgb', () => {
  it('makes RGB of grey images and of those with an alpha channel', async () => {
    const grey = join(root, 'grey.png');
    await writeGrey(grey, LABELS, HEIGHT, WIDTH);
    assert.deepEqual(
      [...(await readRgb(grey)).rgb],
      [...LABELS].flatMap((value) => [value, value, value]),
    );
    const alpha = join(root, 'alpha.png');
    await writeFile(
      alpha,
      encode({ data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), width: 2, height: 1, channels: 4 }),
    );
    assert.deepEqual([...(await readRgb(alpha)).rgb], [1, 2, 3, 5, 6, 7]);
  });
});
