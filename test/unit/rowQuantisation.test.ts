/** Rows of int8 with one scale per row: kernels, compositions of TensorFlow's ops, and the bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRows } from '../../src/models/teacher/encode.js';
import { drawsFor } from '../../src/random/draws.js';
import {
  composedKernels,
  float32,
  type Kernels,
  nativeKernels,
  numTensors,
  readFloat32,
  readInt32,
  scope,
  uint8,
} from '../../src/tensor/index.js';

type RowQuantisation = Kernels['rowQuantisation'];

const QUANTISATIONS: Record<string, RowQuantisation> = {
  kernels: nativeKernels.rowQuantisation,
  composed: composedKernels.rowQuantisation,
};

function randomRows(rows: number, channels: number): Float32Array {
  const draws = drawsFor(5, 'test', rows, channels);
  return Float32Array.from({ length: rows * channels }, () => draws.uniform() * 2 - 1);
}

function quantise(by: RowQuantisation, x: Float32Array, rows: number, channels: number) {
  return scope(() => {
    const { packed_W, scale_R } = by.quantise(float32(x, [rows, channels]));
    const packed = readInt32(packed_W);
    const q = new Int8Array(packed.buffer, packed.byteOffset, rows * channels).slice();
    return { q, scales: readFloat32(scale_R), words: packed.length, bytes: packed };
  });
}

function dequantise(by: RowQuantisation, q: Int8Array, scales: readonly number[]): Float32Array {
  const shape = [scales.length, q.length / scales.length];
  return scope(() => {
    const bytes = uint8(new Uint8Array(q.slice().buffer), shape);
    const scale_R = float32(Float32Array.from(scales), [scales.length]);
    return readFloat32(by.dequantise([bytes], [scale_R]));
  });
}

for (const [name, by] of Object.entries(QUANTISATIONS)) {
  test(`${name}: no value deviates by more than half of its row's step, also with odd counts`, () => {
    const before = numTensors();
    for (const [rows, channels] of [
      [1, 1],
      [3, 5],
      [7, 129],
      [640, 128],
    ] as const) {
      const x = randomRows(rows, channels);
      const { q, scales, words, bytes } = quantise(by, x, rows, channels);
      assert.equal(words, Math.ceil((rows * channels) / 4));
      const rest = new Uint8Array(bytes.buffer, bytes.byteOffset + rows * channels);
      assert.ok(
        rest.every((byte) => byte === 0),
        'the last word is filled with zeros',
      );
      const back = dequantise(by, q, [...scales]);
      for (const [i, value] of x.entries()) {
        const scale = scales[Math.floor(i / channels)]!;
        const wanted = Math.round(value / scale);
        // A tie may be rounded either way, because the division is rounded, too.
        assert.ok(Math.abs(q[i]! - wanted) <= 1, `${rows}x${channels}: ${q[i]} for ${wanted}`);
        const error = Math.abs(back[i]! - value);
        assert.ok(error <= 0.5001 * scale, `${error} with a step of ${scale}`);
      }
      for (let row = 0; row < rows; row++) {
        const sizes = x.subarray(row * channels, (row + 1) * channels).map(Math.abs);
        assert.ok(Math.abs(scales[row]! * 127 - Math.max(...sizes)) < 1e-6, `scale of ${row}`);
      }
    }
    assert.equal(numTensors(), before);
  });

  test(`${name}: rows of zeros, of tiny values, and with NaN or infinity`, () => {
    const tiny = 2 ** -126;
    const x = Float32Array.of(0, 0, tiny, -tiny, 1, Number.NaN, 1, Number.POSITIVE_INFINITY, 1, -2);
    const { q, scales } = quantise(by, x, 5, 2);
    assert.deepEqual([...q.subarray(0, 4)], [0, 0, 0, 0]);
    assert.deepEqual([...scales.subarray(0, 4)], [0, 0, Number.NaN, Number.NaN]);
    // 1 of 2 is half of 127, a tie: to the even one.
    assert.deepEqual([...q.subarray(8)], [64, -127]);
    assert.equal(scales[4], Math.fround(2 / 127));
  });

  test(`${name}: a scale that no unit row can have makes its row NaN`, () => {
    const q = Int8Array.of(0, 127, 0, -127, 0, 1, 0, 1, 0, 1, 5, -5, -127, 127);
    const scales = [Number.NaN, Number.POSITIVE_INFINITY, -0.01, 1.5, 3e38, 0, 1 / 127];
    const back = dequantise(by, q, scales);
    assert.ok(back.subarray(0, 10).every(Number.isNaN), `${back}`);
    assert.deepEqual(back.subarray(10, 12).map(Math.abs), Float32Array.of(0, 0));
    assert.deepEqual([...back.subarray(12)].map(Math.round), [-1, 1]);
    // Below float32's normal numbers: exact, or flushed to zero; finite either way.
    const [small] = dequantise(by, Int8Array.of(127), [2 ** -140]);
    assert.ok(small! >= 0 && small! <= 127 * 2 ** -140, `${small}`);
  });
}

for (const [name, by] of Object.entries(QUANTISATIONS)) {
  test(`${name}: parts become one matrix, each row with its own part's scale`, () => {
    // Rows enough for several threads, which don't end where a part does.
    const [rows, channels, parts] = [333, 64, 3];
    const draws = drawsFor(6, 'test');
    const q = Array.from({ length: parts }, () =>
      Int8Array.from({ length: rows * channels }, () => draws.integer(255) - 127),
    );
    const scales = q.map((_, part) => Array.from({ length: rows }, (_, row) => (row + part) / 999));
    const joined = scope(() => {
      const q_RD = q.map((part) => uint8(new Uint8Array(part.slice().buffer), [rows, channels]));
      const scale_R = scales.map((part) => float32(Float32Array.from(part), [rows]));
      const x = by.dequantise(q_RD, scale_R);
      assert.deepEqual(x.shape, [parts * rows, channels]);
      return readFloat32(x);
    });
    const single = q.flatMap((part, i) => [...dequantise(by, part, scales[i]!)]);
    assert.deepEqual(joined, Float32Array.from(single));
    assert.notDeepEqual(
      joined.subarray(0, 64),
      joined.subarray(rows * channels, rows * channels + 64),
    );
  });
}

test('kernels and composed ops give the same bytes', () => {
  const x = randomRows(500, 67);
  const [fused, composed] = [nativeKernels, composedKernels].map((by) =>
    quantise(by.rowQuantisation, x, 500, 67),
  );
  assert.deepEqual(fused!.scales, composed!.scales);
  const differing = fused!.q.filter((value, i) => value !== composed!.q[i]);
  // The kernel multiplies and rounds in one: where that is a tie the other may round otherwise.
  assert.ok(differing.length < 10, `${differing.length} differ`);
});

test('the kernels refuse shapes that do not fit together', () => {
  scope(() => {
    const bytes = uint8(new Uint8Array(6), [2, 3]);
    const scales = float32(new Float32Array(3), [3]);
    assert.throws(
      () => nativeKernels.rowQuantisation.dequantise([bytes], [scales]),
      /scales: wrong length/,
    );
    const [two, one] = [uint8(new Uint8Array(2), [2, 1]), float32(new Float32Array(2), [2])];
    assert.throws(
      () => nativeKernels.rowQuantisation.dequantise([bytes, two], [one, one]),
      /q: matrices of different sizes/,
    );
    const cube = float32(new Float32Array(8), [2, 2, 2]);
    assert.throws(() => nativeKernels.rowQuantisation.quantise(cube), /x: not a matrix/);
  });
});

test('encoded rows: one byte per element, one scale per row, separate buffers', () => {
  const before = numTensors();
  const x = randomRows(6, 7);
  const { rows, scales } = scope(() => encodeRows(float32(x, [2, 3, 7])))!;
  assert.deepEqual([rows.dtype, rows.shape, rows.data.byteLength], ['int8', [2, 3, 7], 42]);
  assert.deepEqual([scales.dtype, scales.shape, scales.data.byteLength], ['fp32', [2, 3], 24]);
  assert.deepEqual(new Int8Array(rows.data), quantise(nativeKernels.rowQuantisation, x, 6, 7).q);
  x[20] = Number.NaN;
  assert.equal(
    scope(() => encodeRows(float32(x, [2, 3, 7]))),
    null,
  );
  assert.equal(numTensors(), before);
});
