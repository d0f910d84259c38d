/** Label PNGs whose content differs from their header: bombs, missing pixels, interlacing. */
// @own-process: measures the process' memory
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { crc32 } from '@node-rs/crc32';
import sharp from 'sharp';
import { readLabels } from '../../src/data/files/labelFiles.js';
import { DataError } from '../../src/data/types.js';

const directory = mkdtempSync(join(tmpdir(), 'cirkd-png-'));
after(() => rmSync(directory, { recursive: true }));

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function chunk(type: string, data: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}

interface Made {
  readonly width?: number;
  readonly height?: number;
  readonly depth?: number;
  readonly interlaced?: boolean;
  /** Bytes before compression; default: 2x3 grey bytes 0 to 5. */
  readonly rows?: Uint8Array;
  readonly more?: readonly Buffer[];
}

function made({ width = 3, height = 2, depth = 8, interlaced = false, rows, more = [] }: Made) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = depth;
  header[12] = interlaced ? 1 : 0;
  const pixels = rows ?? Uint8Array.of(0, 0, 1, 2, 0, 3, 4, 5);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    ...more,
    chunk('IDAT', deflateSync(pixels)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function read(bytes: Uint8Array) {
  const file = join(directory, 'label.png');
  writeFileSync(file, bytes);
  return readLabels(file);
}

function refused(bytes: Uint8Array, pattern: RegExp) {
  return assert.rejects(read(bytes), (error) => {
    assert.ok(error instanceof DataError, String(error));
    assert.match(error.message, /label\.png: not a readable label PNG: /);
    assert.match(error.message, pattern);
    return true;
  });
}

test('the pixels of an intact file are read, whatever else it contains', async () => {
  const more = [chunk('tEXt', Buffer.from('a\0b')), chunk('tRNS', Buffer.alloc(2))];
  assert.deepEqual([...(await read(made({ more }))).values], [0, 1, 2, 3, 4, 5]);
});

test('no more is unpacked than the size requires', async () => {
  const before = process.memoryUsage().arrayBuffers;
  await refused(made({ rows: new Uint8Array(2 ** 26) }), /got more than the 8 bytes of pixels/);
  const grown = process.memoryUsage().arrayBuffers - before;
  // The test's own 64 MiB may or may not have been freed.
  assert.ok(grown < 2 ** 26 + 2 ** 23, `${grown} bytes were taken`);
  const profile = Buffer.concat([Buffer.from('p\0\0'), deflateSync(new Uint8Array(2 ** 20))]);
  const { values } = await read(made({ more: [chunk('iCCP', profile)] }));
  assert.equal(values.length, 6);
});

test('missing pixels are not read as zeros', async () => {
  await refused(made({ rows: Uint8Array.of(0, 1, 1, 1, 0, 1) }), /got 6 bytes of pixels, wanted 8/);
  await refused(made({ rows: new Uint8Array(0) }), /got 0 bytes of pixels, wanted 8/);
  await refused(made({ width: 0 }), /got 2×0 pixels, wanted at least one/);
  await refused(SIGNATURE, /truncated: 8 bytes/);
  await refused(Buffer.concat([SIGNATURE, chunk('IEND', Buffer.alloc(0))]), /no header/);
  const broken = made({});
  // The checksum of the packed pixels, which precedes the chunk's own checksum and the last chunk.
  broken[broken.length - 12 - 4 - 1]! ^= 1;
  await refused(broken, /check/i);
});

test('interlaced files of 8 bits are read; those of fewer bits are refused', async () => {
  const [height, width] = [11, 13];
  const labels = Uint8Array.from({ length: height * width }, (_, i) => (i * 7) % 19);
  const grey = sharp(labels, { raw: { height, width, channels: 1 } }).toColourspace('b-w');
  const bytes = await grey.png({ progressive: true, palette: false }).toBuffer();
  assert.equal(bytes[28], 1, 'not interlaced');
  assert.deepEqual((await read(bytes)).values, labels);
  await refused(made({ depth: 4, interlaced: true }), /got 4 bits per pixel, interlaced/);
});
