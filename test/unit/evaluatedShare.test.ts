/** What a rank gives to the others after an evaluation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatShare, parseShare } from '../../services/student/group/evaluatedShare.js';

test('a share arrives as it was, counts beyond float32 included', () => {
  const share = {
    counts: Float64Array.of(2 ** 24 + 1, 0, 3, 2 ** 40 + 1),
    seen: { images: 3, pixels: 2 ** 33 + 1 },
    predictions: new Map([
      [0, Uint8Array.of(1, 2, 3)],
      [12, Uint8Array.of(255)],
    ]),
  };
  const bytes = formatShare(share);
  // At an odd place, as in a gathered buffer.
  const moved = new Uint8Array(bytes.length + 1);
  moved.set(bytes, 1);
  const got = parseShare(moved.subarray(1));
  assert.deepEqual(got.counts, share.counts);
  assert.deepEqual(got.seen, share.seen);
  assert.deepEqual(
    [...got.predictions].map(([index, labels]) => [index, [...labels]]),
    [...share.predictions].map(([index, labels]) => [index, [...labels]]),
  );
});

test('a rank without an image gives zeros', () => {
  const empty = { counts: new Float64Array(4), seen: { images: 0, pixels: 0 } };
  assert.deepEqual(parseShare(formatShare({ ...empty, predictions: new Map() })), {
    ...empty,
    predictions: new Map(),
  });
});
