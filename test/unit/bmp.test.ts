import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readBmp } from '../../src/data/files/bmp.js';
import { readRgb } from '../../src/data/files/imageFiles.js';

interface Made {
  readonly bits: number;
  readonly width: number;
  readonly height: number;
  /** As stored, bottom row first unless topDown; each padded to 4 bytes here. */
  readonly rows: readonly (readonly number[])[];
  readonly palette?: readonly (readonly [number, number, number])[];
  readonly masks?: readonly [number, number, number];
  readonly topDown?: boolean;
  readonly compression?: number;
}

/** By the layout of BITMAPFILEHEADER and BITMAPINFOHEADER. */
function made({ bits, width, height, rows, palette = [], ...more }: Made): Buffer {
  const { masks, topDown = false, compression = masks ? 3 : 0 } = more;
  const extra = Buffer.alloc(masks ? 12 : 0);
  for (const [i, mask] of (masks ?? []).entries()) extra.writeUInt32LE(mask, 4 * i);
  const table = Buffer.from(palette.flatMap(([red, green, blue]) => [blue, green, red, 0]));
  const pixels = Buffer.from(
    rows.flatMap((row) => [...row, ...new Array((4 - (row.length % 4)) % 4).fill(0)]),
  );
  const head = Buffer.alloc(54);
  head.write('BM');
  head.writeUInt32LE(54 + extra.length + table.length, 10);
  head.writeUInt32LE(40, 14);
  head.writeInt32LE(width, 18);
  head.writeInt32LE(topDown ? -height : height, 22);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(bits, 28);
  head.writeUInt32LE(compression, 30);
  head.writeUInt32LE(palette.length, 46);
  return Buffer.concat([head, extra, table, pixels]);
}

const RED_GREEN_BLUE = [255, 0, 0, 0, 255, 0, 0, 0, 255];
const WHITE_GREY_BLACK = [255, 255, 255, 128, 128, 128, 0, 0, 0];
const SHOWN = [...RED_GREEN_BLUE, ...WHITE_GREY_BLACK];
const [BGR_TOP, BGR_BOTTOM] = [
  [0, 0, 255, 0, 255, 0, 255, 0, 0],
  [255, 255, 255, 128, 128, 128, 0, 0, 0],
];
const SIZE = { width: 3, height: 2 };

test('24 bits, from the bottom and from the top', () => {
  const fromBottom = made({ ...SIZE, bits: 24, rows: [BGR_BOTTOM, BGR_TOP] });
  assert.deepEqual([...readBmp(fromBottom).rgb], SHOWN);
  const fromTop = made({ ...SIZE, bits: 24, rows: [BGR_TOP, BGR_BOTTOM], topDown: true });
  assert.deepEqual([...readBmp(fromTop).rgb], SHOWN);
});

test('palettes of 1, 4 and 8 bits', () => {
  const palette = [
    [1, 2, 3],
    [200, 100, 50],
  ] as const;
  const shown = [0, 1, 0, 1, 1, 0].flatMap((index) => [...palette[index]!]);
  const packed: Readonly<Record<number, readonly [number[], number[]]>> = {
    1: [[0b0100_0000], [0b1100_0000]],
    4: [
      [0x01, 0x00],
      [0x11, 0x00],
    ],
    8: [
      [0, 1, 0],
      [1, 1, 0],
    ],
  };
  for (const [bits, [top, bottom]] of Object.entries(packed)) {
    const file = made({ ...SIZE, bits: Number(bits), palette, rows: [bottom, top] });
    assert.deepEqual([...readBmp(file).rgb], shown, `${bits} bits`);
  }
});

test('16 and 32 bits, plain and with masks', () => {
  const two = { width: 2, height: 1 };
  assert.deepEqual(
    [...readBmp(made({ ...two, bits: 32, rows: [[3, 2, 1, 9, 6, 5, 4, 9]] })).rgb],
    [1, 2, 3, 4, 5, 6],
  );
  const masks = [0xff00_0000, 0x00ff_0000, 0x0000_ff00] as const;
  assert.deepEqual(
    [...readBmp(made({ ...two, bits: 32, masks, rows: [[9, 3, 2, 1, 9, 6, 5, 4]] })).rgb],
    [1, 2, 3, 4, 5, 6],
  );
  const rgb555 = made({ ...two, bits: 16, rows: [[0x00, 0x7c, 0xe0, 0x03]] });
  assert.deepEqual([...readBmp(rgb555).rgb], [255, 0, 0, 0, 255, 0]);
  const rgb565 = made({
    ...two,
    bits: 16,
    masks: [0xf800, 0x07e0, 0x1f],
    rows: [[0, 0xf8, 0xe0, 0x07]],
  });
  assert.deepEqual([...readBmp(rgb565).rgb], [255, 0, 0, 0, 255, 0]);
});

test('what is truncated, compressed or no image is refused', () => {
  const whole = made({ ...SIZE, bits: 24, rows: [BGR_BOTTOM, BGR_TOP] });
  for (let length = 2; length < whole.length; length++) {
    assert.throws(() => readBmp(whole.subarray(0, length)), /truncated|header/);
  }
  assert.throws(
    () => readBmp(made({ ...SIZE, bits: 8, rows: [[0], [0]], compression: 1 })),
    /compressed BMP \(method 1\)/,
  );
  assert.throws(
    () => readBmp(made({ ...SIZE, bits: 7, rows: [[0], [0]] })),
    /got 7 bits per pixel/,
  );
  assert.throws(
    () => readBmp(made({ width: 0, height: 1, bits: 24, rows: [[]] })),
    /got 1×0 pixels/,
  );
  const palette = [[1, 2, 3]] as const;
  assert.throws(
    () => readBmp(made({ width: 1, height: 1, bits: 8, palette, rows: [[1]] })),
    /got palette index 1, wanted 0 to 0/,
  );
});

test('readRgb reads a BMP, and names a broken one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bmp-'));
  try {
    const file = join(folder, 'a.bmp');
    const whole = made({ ...SIZE, bits: 24, rows: [BGR_BOTTOM, BGR_TOP] });
    await writeFile(file, whole);
    const { rgb, ...size } = await readRgb(file);
    assert.deepEqual([...rgb], SHOWN);
    assert.deepEqual(size, { height: 2, width: 3 });
    await writeFile(file, whole.subarray(0, 60));
    await assert.rejects(readRgb(file), (error: Error) =>
      error.message.startsWith(`${file}: not a readable image: truncated`),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
