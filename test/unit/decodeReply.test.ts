import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import { replyOfOutputs } from '../../src/contract/teacher.js';
import { decodeReplies, decodeScaledRows, decodeStacked } from '../../src/distill/decodeReply.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import { numTensors, readFloat32, scope } from '../../src/tensor/index.js';
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

it('stacks replies of either dtype, also of odd sizes', () => {
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

it('returns all outputs and leaks no tensors', () => {
  const before = numTensors();
  const reply = {
    logits: fp16([1, 2], [1, 1, 2]),
    embedding: fp16([0, 1, 0], [1, 1, 3]),
    embeddingScale: null,
    featureNorm: fp32([7], [1, 1]),
    auxNorm: fp32([3], [1, 1]),
  };
  scope(() => {
    const outputs = decodeReplies([reply, reply], null);
    assert.deepEqual(outputs.logits!.shape, [2, 1, 1, 2]);
    assert.deepEqual(outputs.embedding!.shape, [2, 1, 1, 3]);
    assert.deepEqual([...readFloat32(outputs.featureNorm!)], [7, 7]);
    assert.deepEqual([...readFloat32(outputs.auxNorm!)], [3, 3]);
  });
  assert.equal(numTensors(), before);
});

it('an output that no reply has is null; a mixture is refused', () => {
  const none = replyOfOutputs(() => null);
  const alone = { ...none, logits: fp16([1, 2], [1, 1, 2]) };
  scope(() => {
    const { logits, ...rest } = decodeReplies([alone, alone], null);
    assert.deepEqual([...readFloat32(logits!)], [1, 2, 1, 2]);
    assert.deepEqual(rest, { embedding: null, featureNorm: null, auxNorm: null });
    const norms = { ...none, featureNorm: fp32([7], [1, 1]) };
    const { featureNorm, ...others } = decodeReplies([norms, norms], null);
    assert.deepEqual([...readFloat32(featureNorm!)], [7, 7]);
    assert.deepEqual(others, { logits: null, embedding: null, auxNorm: null });
    const whole = { ...alone, embedding: fp16([1], [1, 1, 1]), featureNorm: fp32([7], [1, 1]) };
    assert.throws(() => decodeReplies([whole, alone], null), /embedding: missing/);
    assert.throws(() => decodeReplies([alone, whole], null), /embedding: missing/);
  });
});

const int8 = (values: readonly number[], shape: number[]): EncodedTensor => ({
  dtype: 'int8',
  shape,
  data: Int8Array.from(values).buffer,
});
/** 2 classes, 3 channels: weights, then bias. */
const CLASSIFIER = fp32([1, 2, 4, 0.5, -1, 0, 0, -2], [2, 4]);

it('int8 rows are multiplied by their scales; logits are rebuilt from them per position', () => {
  const before = numTensors();
  const rebuild = new LogitsRebuild(CLASSIFIER);
  const reply = (rows: readonly number[], scales: readonly number[], norms: readonly number[]) => ({
    logits: null,
    embedding: int8(rows, [1, 2, 3]),
    embeddingScale: fp32(scales, [1, 2]),
    featureNorm: fp32(norms, [1, 2]),
    auxNorm: null,
  });
  const replies = [
    reply([127, 0, 0, 0, 0, -127], [1 / 127, 1 / 127], [3, 8]),
    reply([64, 64, 64, 0, 0, 0], [1 / 128, 0], [2, 0]),
  ];
  scope(() => {
    const { logits, embedding, featureNorm } = decodeReplies(replies, rebuild);
    assert.deepEqual(embedding!.shape, [2, 1, 2, 3]);
    const wanted = [1, 0, 0, 0, 0, -1, 0.5, 0.5, 0.5, 0, 0, 0];
    const rows = readFloat32(embedding!);
    for (const [i, value] of wanted.entries()) {
      assert.ok(Math.abs(rows[i]! - value) < 1e-6, `${rows}`);
    }
    assert.deepEqual(featureNorm!.shape, [2, 1, 2]);
    assert.deepEqual(logits!.shape, [2, 1, 2, 2]);
    // First position: feature [3, 0, 0]; third: [1, 1, 1]; the last: the bias alone.
    const sums = [3.5, -5, -31.5, -2, 7.5, -3, 0.5, -2];
    const made = readFloat32(logits!);
    for (const [i, value] of sums.entries()) {
      assert.ok(Math.abs(made[i]! - value) < 1e-5, `${made}`);
    }
  });
  rebuild.dispose();
  assert.equal(numTensors(), before);
});

it('a hostile scale makes its own row NaN, and no other', () => {
  for (const scale of [Number.NaN, Number.POSITIVE_INFINITY, -1, 2]) {
    const values = scope(() => {
      const rows = [int8([1, 0, 0, 2], [2, 2])];
      return [...readFloat32(decodeScaledRows('embedding', rows, [fp32([scale, 0.5], [2])]))];
    });
    assert.deepEqual(values, [Number.NaN, Number.NaN, 0, 1], String(scale));
  }
});

it('refuses int8 rows and classifiers that do not fit together', () => {
  const decode = (rows: EncodedTensor, scale: EncodedTensor) =>
    scope(() => decodeScaledRows('embedding', [rows], [scale]));
  const rows = int8([1, 2, 3, 4], [2, 2]);
  assert.throws(() => decode(rows, fp32([1, 1, 1], [3])), /scale: shape \[3\] given, wanted \[2\]/);
  assert.throws(() => decode(int8([1, 2, 3], [2, 2]), fp32([1, 1], [2])), /3 bytes given, int8/);
  assert.throws(() => decode(fp32([1, 2], [2, 1]), fp32([1, 1], [2])), /fp32 given, wanted int8/);
  assert.throws(() => decoded([rows]), /int8 given, which needs scales/);
  assert.throws(() => new LogitsRebuild(fp16([1, 2], [1, 2])), /classifier: dtype fp16/);
  assert.throws(() => new LogitsRebuild(fp32([1, 2, 3], [2, 2])), /classifier: 12 bytes given/);
  const plain = { ...replyOfOutputs(() => null), featureNorm: fp32([1], [1, 1]) };
  const unscaled = { ...plain, embedding: int8([1, 2], [1, 1, 2]) };
  const rebuild = new LogitsRebuild(CLASSIFIER);
  const two = { ...plain, embedding: fp32([1, 0], [1, 1, 2]) };
  scope(() => {
    assert.throws(() => decodeReplies([unscaled], rebuild), /embeddingScale: missing/);
    assert.throws(() => decodeReplies([plain], rebuild), /logits: missing, and embedding/);
    assert.throws(() => decodeReplies([two], rebuild), /2 channels, the classifier has 3/);
  });
  rebuild.dispose();
});

it('refuses tensors that do not fit together', () => {
  assert.throws(() => decoded([]), /logits: no tensors/);
  assert.throws(
    () => decoded([fp32([1], [1]), fp32([1, 2], [2])]),
    /logits: shape \[2\] given, wanted \[1\]/,
  );
  assert.throws(() => decoded([fp32([1], [1]), fp16([1], [1])]), /dtype fp16 given, wanted fp32/);
  assert.throws(() => decoded([fp32([1], [2])]), /4 bytes given/);
});
