import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decodeReplies, decodeStacked } from '../../src/distill/decodeReply.js';
import { numTensors, readFloat32, scope } from '../../src/tensor/index.js';
import type { EncodedTensor } from '../../src/wire/encodedTensor.js';
import { decodeHalf, encodeHalf } from '../../src/wire/half.js';

const fp32 = (values: readonly number[], shape: number[]): EncodedTensor => ({
  dtype: 'fp32',
  shape,
  data: Float32Array.from(values).buffer,
});
const fp16 = (values: readonly number[], shape: number[]): EncodedTensor => ({
  dtype: 'fp16',
  shape,
  data: encodeHalf(Float32Array.from(values)).buffer,
});
const decoded = (parts: readonly EncodedTensor[]) =>
  scope(() => {
    const tensor = decodeStacked('logits', parts);
    return { shape: tensor.shape, dtype: tensor.dtype, values: [...readFloat32(tensor)] };
  });

it('stacks replies of either dtype, odd sizes too', () => {
  const [a, b] = [
    [1, -2.5, 65504],
    [2 ** -24, 0.1, -0],
  ] as const;
  const halves = [...decodeHalf(encodeHalf(Float32Array.from([...a, ...b])))];
  assert.deepEqual(decoded([fp16(a, [1, 1, 3]), fp16(b, [1, 1, 3])]), {
    shape: [2, 1, 1, 3],
    dtype: 'float32',
    values: halves,
  });
  assert.deepEqual(decoded([fp16(a, [1, 1, 3])]).values, halves.slice(0, 3));
  const floats = [...Float32Array.from([...a, ...b])];
  assert.deepEqual(decoded([fp32(a, [3]), fp32(b, [3])]), {
    shape: [2, 3],
    dtype: 'float32',
    values: floats,
  });
});

it('decodes every half exactly', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const finite = all.filter((bits) => (bits & 0x7c00) !== 0x7c00);
  const part: EncodedTensor = { dtype: 'fp16', shape: [finite.length], data: finite.buffer };
  assert.deepEqual(decoded([part]).values, [...decodeHalf(finite)]);
});

it('gives all three outputs and leaves nothing behind', () => {
  const before = numTensors();
  const reply = {
    logits: fp16([1, 2], [1, 1, 2]),
    embedding: fp16([0, 1, 0], [1, 1, 3]),
    featureNorm: fp32([7], [1, 1]),
  };
  scope(() => {
    const outputs = decodeReplies([reply, reply]);
    assert.deepEqual(outputs.logits.shape, [2, 1, 1, 2]);
    assert.deepEqual(outputs.embedding.shape, [2, 1, 1, 3]);
    assert.deepEqual([...readFloat32(outputs.featureNorm)], [7, 7]);
  });
  assert.equal(numTensors(), before);
});

it('refuses tensors that do not go together', () => {
  assert.throws(() => decoded([]), /logits: no tensors/);
  assert.throws(
    () => decoded([fp32([1], [1]), fp32([1, 2], [2])]),
    /logits: shape \[2\] given, wanted \[1\]/,
  );
  assert.throws(() => decoded([fp32([1], [1]), fp16([1], [1])]), /dtype fp16 given, wanted fp32/);
  assert.throws(() => decoded([fp32([1], [2])]), /4 bytes given/);
});
