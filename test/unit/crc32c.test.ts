import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../src/wire/crc32c.js';

test('known values of RFC 3720 B.4 and the check value', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

test('a view at an odd offset is read from its start', () => {
  const whole = Buffer.from('xyz123456789');
  assert.equal(crc32c(new Uint8Array(whole.buffer, whole.byteOffset + 3, 9)), 0xe3069283);
});

test('the checksum of pieces, one after the other, is that of the whole', () => {
  const whole = Uint8Array.from({ length: 100_003 }, (_, i) => (i * 2654435761) >>> 13);
  for (const at of [0, 1, 7, 16_384, 65_535, whole.length]) {
    const pieces = crc32c(whole.subarray(at), crc32c(whole.subarray(0, at)));
    assert.equal(pieces, crc32c(whole), `cut at ${at}`);
  }
});
