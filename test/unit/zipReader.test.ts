/** Zip archives: written ones are read back, damaged ones are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { readZip } from '../../src/wire/torch/zip/reader.js';
import { writeZip, ZipTooLargeError } from '../../src/wire/torch/zip/writer.js';

const ENTRIES = new Map([
  ['top/first', Uint8Array.of(1, 2, 3)],
  ['top/é', new Uint8Array(0)],
  ['top/third', new Uint8Array(200).fill(7)],
]);
const FILE = writeZip(ENTRIES);
const END = FILE.length - 22;
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const CENTRAL = view(FILE).getUint32(END + 16, true);

function refusal(bytes: Uint8Array): string {
  try {
    readZip(bytes);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
    return error.message;
  }
  return assert.fail('was read');
}

/** A copy with a 16- or 32-bit field changed. */
function changed(at: number, value: number, bits: 16 | 32): Uint8Array {
  const copy = FILE.slice();
  if (bits === 16) view(copy).setUint16(at, value, true);
  else view(copy).setUint32(at, value, true);
  return copy;
}

test('entries are read in order, as views, with data aligned to 64 bytes', () => {
  const read = readZip(FILE);
  assert.deepEqual([...read], [...ENTRIES]);
  for (const content of read.values()) {
    assert.equal(content.buffer, FILE.buffer);
    assert.equal(content.byteOffset % 64, 0);
  }
  // In a Buffer at an offset in its memory, with a comment after the end record.
  const moved = Buffer.concat([Buffer.alloc(5), FILE, Buffer.from('hi')]).subarray(5);
  moved.writeUInt16LE(2, END + 20);
  assert.deepEqual([...readZip(moved).keys()], [...ENTRIES.keys()]);
});

test('a file truncated anywhere is refused', () => {
  for (let length = 0; length < FILE.length; length++) {
    assert.match(
      refusal(FILE.subarray(0, length)),
      /^zip archive: no end of the central directory/,
    );
  }
});

test('false headers are refused', () => {
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [changed(END + 16, CENTRAL + 1, 32), /runs past its end record/],
    [changed(END + 16, CENTRAL - 8, 32), /no central header 0/],
    [changed(END + 12, 0x7fffffff, 32), /runs past its end record/],
    [changed(END + 10, 50_000, 16), /50000 entries announced/],
    [changed(END + 10, 0xffff, 16), /no zip64 locator/],
    [changed(CENTRAL + 8, 1, 16), /'top\/first' is encrypted/],
    [changed(CENTRAL + 10, 8, 16), /'top\/first' is compressed \(method 8\), wanted stored/],
    [changed(CENTRAL + 20, 4, 32), /has two sizes/],
    [changed(CENTRAL + 24, 0xffffffff, 32), /lacks its zip64 sizes/],
    [changed(CENTRAL + 28, 0xfff0, 16), /central header 0 runs past/],
    [changed(CENTRAL + 42, 1, 32), /no local header of 'top\/first'/],
    [changed(CENTRAL + 42, 0xfffffff0, 32), /no local header of 'top\/first'/],
    [changed(CENTRAL + 46, 0xffff, 16), /name of entry 0 is not UTF-8/],
    [changed(30, 0x4141, 16), /another name in its local header/],
    [changed(28, 0xffff, 16), /runs past the data's end/],
  ];
  for (const [file, wanted] of cases) assert.match(refusal(file), wanted);
  const large = changed(CENTRAL + 20, 2 ** 31, 32);
  view(large).setUint32(CENTRAL + 24, 2 ** 31, true);
  assert.match(refusal(large), /of 2147483648 bytes at 64 runs past/);
});

test('names are shown shortened and without terminal control characters', () => {
  const odd = writeZip(new Map([[`\u001b[2J\u202e${'x'.repeat(400)}`, new Uint8Array(1)]]));
  view(odd).setUint16(view(odd).getUint32(odd.length - 6, true) + 10, 8, true);
  const message = refusal(odd);
  assert.match(message, /entry '\ufffd\[2J\ufffdx+…' is compressed/);
  assert.ok(message.length < 200, message);
});

test('a duplicate name is refused', () => {
  const twice = writeZip(new Map([...ENTRIES].map(([name, data]) => [name.slice(0, 9), data])));
  const text = Buffer.from(twice).toString('latin1').replaceAll('top/third', 'top/first');
  assert.match(refusal(new Uint8Array(Buffer.from(text, 'latin1'))), /'top\/first' appears twice/);
});

/** The same archive with its directory's position and one entry's sizes in zip64 records. */
function zip64(): Uint8Array {
  const size = 3;
  const nameEnd = CENTRAL + 46 + 'top/first'.length;
  const extra = Buffer.alloc(20);
  extra.writeUInt16LE(1);
  extra.writeUInt16LE(16, 2);
  extra.writeBigUInt64LE(BigInt(size), 4);
  extra.writeBigUInt64LE(BigInt(size), 12);
  const file = Buffer.concat([FILE.subarray(0, nameEnd), extra, FILE.subarray(nameEnd, END)]);
  file.writeUInt32LE(0xffffffff, CENTRAL + 20);
  file.writeUInt32LE(0xffffffff, CENTRAL + 24);
  file.writeUInt16LE(extra.length, CENTRAL + 30);
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50);
  record.writeBigUInt64LE(3n, 32);
  record.writeBigUInt64LE(BigInt(file.length - CENTRAL), 40);
  record.writeBigUInt64LE(BigInt(CENTRAL), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50);
  locator.writeBigUInt64LE(BigInt(file.length), 8);
  const end = Buffer.from(FILE.subarray(END));
  end.fill(0xff, 8, 20);
  return Buffer.concat([file, record, locator, end]);
}

test('zip64 records are read if the short fields are saturated', () => {
  const file = new Uint8Array(zip64());
  assert.deepEqual([...readZip(file)], [...ENTRIES]);
  for (let length = 0; length < file.length; length++) refusal(file.subarray(0, length));
  const far = Buffer.from(file);
  far.writeBigUInt64LE(2n ** 60n, file.length - 22 - 20 + 8);
  assert.match(refusal(far), /is no size/);
  const many = Buffer.from(file);
  many.writeBigUInt64LE(1_000_001n, file.length - 22 - 20 - 56 + 32);
  assert.match(refusal(many), /1000001 entries announced, wanted at most 1000000/);
});

test('archives beyond the limits of plain zip are not written', () => {
  const huge = new Uint8Array(0);
  Object.defineProperty(huge, 'length', { value: 2 ** 32 });
  assert.throws(() => writeZip(new Map([['a', huge]])), ZipTooLargeError);
});
