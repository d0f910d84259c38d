import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkTensor,
  firstNonFinite,
  outputSize,
  TensorFormatError,
  tensorBytes,
} from '../../src/wire/checkTensor.js';

test('bytes are dtype times shape; invalid sizes are refused', () => {
  assert.equal(tensorBytes('fp32', [64, 128, 512]), 16 * 1024 * 1024);
  assert.equal(tensorBytes('fp16', [3]), 6);
  assert.equal(tensorBytes('int8', []), 1);
  for (const shape of [[-1], [1.5], [Number.NaN], [2 ** 30, 2 ** 30]]) {
    assert.throws(() => tensorBytes('fp32', shape), TensorFormatError);
  }
});

test('outputs have ceil(size / stride) positions', () => {
  assert.deepEqual(outputSize(512, 1024, 8), [64, 128]);
  assert.deepEqual(outputSize(65, 1, 8), [9, 1]);
});

test('a tensor must have the wanted dtype, shape and bytes', () => {
  const tensor = { dtype: 'fp16', shape: [2, 3], data: new ArrayBuffer(12) } as const;
  checkTensor('logits', tensor, 'fp16', [2, 3]);
  assert.throws(() => checkTensor('logits', tensor, 'fp32', [2, 3]), /logits: dtype fp16 given/);
  assert.throws(() => checkTensor('logits', tensor, 'fp16', [3, 2]), /shape \[2,3\].*\[3,2\]/);
  assert.throws(
    () => checkTensor('logits', { ...tensor, data: new ArrayBuffer(11) }, 'fp16', [2, 3]),
    /11 bytes given, fp16 \[2,3\] wants 12/,
  );
});

test('the first infinite or NaN element is found', () => {
  const fp32 = (values: number[]) => ({
    dtype: 'fp32' as const,
    shape: [values.length],
    data: Float32Array.from(values).buffer,
  });
  assert.equal(firstNonFinite(fp32([1, -3.4e38, 0])), -1);
  assert.equal(firstNonFinite(fp32([1, Number.NEGATIVE_INFINITY])), 1);
  assert.equal(firstNonFinite(fp32([Number.NaN])), 0);
  const fp16 = {
    dtype: 'fp16' as const,
    shape: [3],
    data: Uint16Array.of(0x7bff, 0xfbff, 0x7e00).buffer,
  };
  assert.equal(firstNonFinite(fp16), 2);
  assert.equal(firstNonFinite({ dtype: 'int8', shape: [1], data: new ArrayBuffer(1) }), -1);
});
