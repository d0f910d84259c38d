import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decode } from 'fast-png';
import sharp, { type Sharp } from 'sharp';
import { readRgb } from '../../src/data/files/imageFiles.js';
import { DataError } from '../../src/data/types.js';
import { withExtraneousBytes } from '../support/datasets/oddJpeg.js';

const [HEIGHT, WIDTH] = [24, 40];
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'images-'));
});
after(() => rm(folder, { recursive: true }));

/** A smooth picture, so that JPEG changes little; each corner has another colour. */
const RGB = Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, (_, i) => {
  const [y, x, c] = [Math.floor(i / 3 / WIDTH), Math.floor(i / 3) % WIDTH, i % 3];
  return [20 + 5 * x, 230 - 8 * y, 40 + 3 * x + 3 * y][c]!;
});

function picture(
  values: Uint8Array | Uint16Array | Float32Array = RGB,
  channels: 1 | 3 = 3,
): Sharp {
  return sharp(values, { raw: { height: HEIGHT, width: WIDTH, channels } });
}

async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

/** The pixel of the stored picture that is shown at (y, x) of a picture of this size, by EXIF's definition. */
const SHOWN: Readonly<Record<number, (y: number, x: number) => readonly [number, number]>> = {
  1: (y, x) => [y, x],
  2: (y, x) => [y, WIDTH - 1 - x],
  3: (y, x) => [HEIGHT - 1 - y, WIDTH - 1 - x],
  4: (y, x) => [HEIGHT - 1 - y, x],
  5: (y, x) => [x, y],
  6: (y, x) => [HEIGHT - 1 - x, y],
  7: (y, x) => [HEIGHT - 1 - x, WIDTH - 1 - y],
  8: (y, x) => [x, WIDTH - 1 - y],
};

const LOSSLESS = {
  jpeg: { quality: 100 },
  png: {},
  webp: { lossless: true },
  tiff: { compression: 'none' },
} as const;

test('EXIF orientation is applied in every format that has it', async () => {
  for (const format of ['jpeg', 'png', 'webp', 'tiff'] as const) {
    for (const [orientation, shown] of Object.entries(SHOWN)) {
      const bytes = await picture()
        .withMetadata({ orientation: Number(orientation) })
        .toFormat(format, LOSSLESS[format])
        .toBuffer();
      const { height, width, rgb } = await readRgb(await file(`o${orientation}.${format}`, bytes));
      const isTurned = Number(orientation) >= 5;
      assert.deepEqual([height, width], isTurned ? [WIDTH, HEIGHT] : [HEIGHT, WIDTH]);
      let worst = 0;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const [fromY, fromX] = shown(y, x);
          for (let c = 0; c < 3; c++) {
            const stored = RGB[(fromY * WIDTH + fromX) * 3 + c]!;
            worst = Math.max(worst, Math.abs(rgb[(y * width + x) * 3 + c]! - stored));
          }
        }
      }
      assert.ok(worst <= (format === 'jpeg' ? 6 : 0), `${format} ${orientation}: off by ${worst}`);
    }
  }
});

test('stored values are taken, whatever colour profile is embedded', async () => {
  const bytes = await picture().withIccProfile('p3').png().toBuffer();
  const { hasProfile } = await sharp(bytes).metadata();
  assert.equal(hasProfile, true);
  const stored = decode(bytes).data;
  assert.notDeepEqual([...stored], [...RGB], 'p3 has other values for the same colours');
  assert.deepEqual([...(await readRgb(await file('p3.png', bytes))).rgb], [...stored]);
});

async function jpeg(): Promise<Buffer> {
  return picture().jpeg({ quality: 95 }).toBuffer();
}

test('a JPEG with extraneous bytes or an odd scan header is read, with a warning that names it', async () => {
  const bytes = await jpeg();
  const plain = await readRgb(await file('plain.jpg', bytes));
  assert.equal(plain.warning, undefined);
  const extraneous = await file('extraneous.jpg', withExtraneousBytes(bytes));
  const scan = bytes.indexOf(Buffer.from([0xff, 0xda]));
  const odd = Buffer.from(bytes);
  odd[scan + bytes.readUInt16BE(scan + 2)] = 0;
  const oddScan = await file('scan.jpg', odd);
  for (const [path, reason] of [
    [extraneous, /18 extraneous bytes before marker/],
    [oddScan, /Invalid SOS parameters/],
  ] as const) {
    const { rgb, warning } = await readRgb(path);
    assert.deepEqual(rgb, plain.rgb);
    assert.ok(warning?.startsWith(`${path}: `), warning);
    assert.match(warning!, reason);
  }
});

test('a JPEG without its end is refused', async () => {
  const bytes = await jpeg();
  for (const cut of [2, 1, 100, Math.floor(bytes.length / 2)]) {
    const path = await file('cut.jpg', bytes.subarray(0, bytes.length - cut));
    await assert.rejects(readRgb(path), (error: Error) => {
      assert.ok(error instanceof DataError);
      assert.equal(error.message.startsWith(`${path}: not a readable image: `), true);
      return true;
    });
  }
});

/** A baseline TIFF of one strip, uncompressed, little-endian. */
function tiff(values: Uint16Array | Float32Array, channels: 1 | 3 = 3): Buffer {
  const bits = 8 * values.BYTES_PER_ELEMENT;
  const depths = Buffer.alloc(8);
  for (let c = 0; c < channels; c++) depths.writeUInt16LE(bits, 2 * c);
  const pixels = Buffer.from(values.buffer);
  const [SHORT, LONG] = [3, 4];
  const tags = [
    ...[[256, LONG, 1, WIDTH] as const, [257, LONG, 1, HEIGHT] as const],
    // BitsPerSample: one value fits into the entry, three don't.
    [258, SHORT, channels, channels === 1 ? bits : 8] as const,
    ...[[259, SHORT, 1, 1] as const, [262, SHORT, 1, channels === 1 ? 1 : 2] as const],
    ...[[273, LONG, 1, 16] as const, [277, SHORT, 1, channels] as const],
    ...[[278, LONG, 1, HEIGHT] as const, [279, LONG, 1, pixels.length] as const],
    [339, SHORT, 1, values instanceof Float32Array ? 3 : 1] as const,
  ];
  const head = Buffer.alloc(8);
  head.write('II');
  head.writeUInt16LE(42, 2);
  head.writeUInt32LE(16 + pixels.length, 4);
  const directory = Buffer.alloc(2 + 12 * tags.length + 4);
  directory.writeUInt16LE(tags.length, 0);
  for (const [i, [tag, type, count, value]] of tags.entries()) {
    const at = 2 + 12 * i;
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(type, at + 2);
    directory.writeUInt32LE(count, at + 4);
    directory.writeUInt32LE(value, at + 8);
  }
  return Buffer.concat([head, depths, pixels, directory]);
}

async function read(name: string, bytes: Uint8Array, whiteValue: number | null = null) {
  return [...(await readRgb(await file(name, bytes), { whiteValue })).rgb];
}

test('floats from 0 to 255, and from 0 to 1, are the same picture', async () => {
  assert.deepEqual(await read('f255.tif', tiff(Float32Array.from(RGB))), [...RGB]);
  const unit = Float32Array.from(RGB, (value) => value / 255);
  assert.deepEqual(await read('f1.tif', tiff(unit)), [...RGB]);
  const grey = Float32Array.from({ length: HEIGHT * WIDTH }, (_, i) => i % 200);
  const three = [...grey].flatMap((value) => [value, value, value]);
  assert.deepEqual(await read('grey.tif', tiff(grey, 1)), three);
});

test('16 bits are their upper 8; 12 bits in 16 are read where white is said, else refused', async () => {
  const full = Uint16Array.from(RGB, (value) => value * 257);
  assert.deepEqual(await read('u16.tif', tiff(full)), [...RGB]);
  const png = await picture(full)
    .pipelineColourspace('rgb16')
    .toColourspace('rgb16')
    .png()
    .toBuffer();
  assert.equal((await sharp(png).metadata()).depth, 'ushort');
  assert.deepEqual(await read('u16.png', png), [...RGB]);
  const twelve = tiff(Uint16Array.from(RGB, (value) => Math.round((value * 4095) / 255)));
  assert.deepEqual(await read('u12.tif', twelve, 4095), [...RGB]);
  await assert.rejects(
    read('u12.tif', twelve),
    /16 bits per channel, but no value above \d+.*whiteValue/,
  );
  const dark = await read('u12.tif', twelve, 65535);
  assert.equal(Math.max(...dark) < 16, true);
});

test('floats of another range, or not finite, are refused by name', async () => {
  const wide = Float32Array.from(RGB, (value) => value * 16);
  await assert.rejects(
    read('wide.tif', tiff(wide)),
    /wide\.tif: .*floats from .* wanted 0 to 1 or 0 to 255/,
  );
  assert.deepEqual(await read('wide.tif', tiff(wide), 4080), [...RGB]);
  const unclear = Float32Array.from(RGB, (value) => value / 200);
  await assert.rejects(read('unclear.tif', tiff(unclear)), /wanted 0 to 1 or 0 to 255/);
  const broken = Float32Array.from(RGB);
  broken[7] = Number.NaN;
  await assert.rejects(read('nan.tif', tiff(broken)), /got NaN at value 7/);
});
