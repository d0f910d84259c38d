/** The addon's kernels of transformers: beside TensorFlow's ops, by difference quotients, their bits, their faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  composedKernels,
  float32,
  nativeKernels,
  readFloat32,
  scope,
  Tape,
} from '../../src/tensor/index.js';
import { assertGradients, randomInput } from '../support/numerics/finiteDifference.js';
import {
  distancesFromTensorflow,
  resultsOf,
  TRANSFORMER_CASES,
} from '../support/numerics/transformerKernels.js';

test('values and gradients are those of compositions of TensorFlow’s ops', () => {
  const distances = distancesFromTensorflow();
  assert.equal(distances.length, TRANSFORMER_CASES.length);
  for (const { name, worst } of distances) {
    assert.ok(worst !== null && worst < 1e-5, `${name}: ${worst}`);
  }
});

test('the same bits each time', () => {
  for (const each of TRANSFORMER_CASES) {
    assert.deepEqual(resultsOf(nativeKernels, each), resultsOf(nativeKernels, each), each.name);
  }
});

for (const [name, kernels] of [
  ['native', nativeKernels],
  ['composed', composedKernels],
] as const) {
  test(`${name} attention with heads: gradients against difference quotients`, () => {
    const inputs = [
      randomInput(1, [2, 5, 6]),
      randomInput(2, [2, 4, 6]),
      randomInput(3, [2, 4, 6]),
    ];
    for (const heads of [1, 2, 3]) {
      const options = { heads, factor: 0.7 };
      assertGradients(
        (tape, [query, key, value]) =>
          kernels.multiHeadAttention(tape, query!, key!, value!, options),
        inputs,
      );
    }
  });

  test(`${name} layer norm, GELU and biases: gradients against difference quotients`, () => {
    const x = randomInput(4, [2, 3, 5, 6]);
    const vectors = [randomInput(5, [6]), randomInput(6, [6])];
    assertGradients(
      (tape, [map, scale, offset]) => kernels.layerNorm(tape, map!, scale!, offset!, 1e-3),
      [x, ...vectors],
    );
    assertGradients((tape, [map]) => kernels.gelu(tape, map!), [x]);
    const geometry = { stride: 1, dilation: 2, padding: 2 };
    const weights = randomInput(7, [3, 3, 6, 1]);
    assertGradients(
      (tape, [map, w, bias]) => kernels.depthwiseConv2d(tape, map!, w!, geometry, bias!),
      [x, weights, vectors[0]!],
    );
  });
}

test('attention: heads see their own channels only', () => {
  // Keys of the first head are equal, those of the second pick a value.
  const out = scope(() => {
    const tape = new Tape(false);
    const query = tape.constant(float32(Float32Array.of(1, 100), [1, 1, 2]));
    const key = tape.constant(float32(Float32Array.of(3, 1, 3, -1), [1, 2, 2]));
    const value = tape.constant(float32(Float32Array.of(2, 5, 4, 7), [1, 2, 2]));
    const options = { heads: 2, factor: 1 };
    return readFloat32(nativeKernels.multiHeadAttention(tape, query, key, value, options).value);
  });
  assert.deepEqual([...out], [3, 5]);
});

test('GELU is precise where it is next to 0, and large values stay what they are', () => {
  const given = [-5, -3, -1e-6, 1e-6, 3, 12, -40, 3e38];
  const got = scope(() => {
    const tape = new Tape(false);
    const x = tape.constant(float32(Float32Array.from(given), [given.length]));
    return readFloat32(nativeKernels.gelu(tape, x).value);
  });
  // x times the distribution function: Phi(-5) = 2.8665157e-7, Phi(-3) = 1.3498980e-3.
  const wanted = [-1.43325786e-6, -4.0496941e-3, -5e-7, 5e-7, 2.99595031, 12, 0, 3e38];
  for (const [i, value] of wanted.entries()) {
    const allowed = 2e-6 * Math.abs(value);
    assert.ok(Math.abs(got[i]! - value) <= allowed, `${given[i]}: ${got[i]}, wanted ${value}`);
  }
});

test('what is not a number stays so, in its own row', () => {
  scope(() => {
    const tape = new Tape(false);
    const values = randomInput(1, [3, 4]).values;
    values[5] = Number.NaN;
    const x = tape.constant(float32(values, [1, 3, 4]));
    const vector = tape.constant(float32(new Float32Array(4).fill(1), [4]));
    const other = tape.constant(float32(randomInput(2, [2, 4]).values, [1, 2, 4]));
    const options = { heads: 1, factor: 1 };
    for (const y of [
      nativeKernels.layerNorm(tape, x, vector, vector, 1e-6),
      nativeKernels.multiHeadAttention(tape, x, other, other, options),
    ]) {
      const broken = [...readFloat32(y.value)].map(Number.isNaN);
      assert.deepEqual(
        broken,
        [0, 1, 2].flatMap((row) => new Array<boolean>(4).fill(row === 1)),
      );
    }
    const [plain, nan] = [...readFloat32(nativeKernels.gelu(tape, x).value)].slice(4, 6);
    assert.ok(Number.isFinite(plain) && Number.isNaN(nan));
  });
});

test('errors of kernels name the fault', () => {
  scope(() => {
    const tape = new Tape(false);
    const zeros = (...shape: number[]) =>
      tape.constant(
        float32(new Float32Array(shape.reduce((product, length) => product * length, 1)), shape),
      );
    const attend = (key: number[], value: number[], heads: number) =>
      nativeKernels.multiHeadAttention(tape, zeros(2, 5, 6), zeros(...key), zeros(...value), {
        ...{ heads, factor: 1 },
      });
    assert.throws(() => attend([2, 3, 4], [2, 3, 4], 1), /key: not of the query's images/);
    assert.throws(() => attend([2, 3, 6], [2, 4, 6], 1), /value: another shape than key/);
    assert.throws(() => attend([2, 3, 6], [2, 3, 6], 4), /channels: not a multiple of the heads/);
    assert.throws(() => attend([2, 0, 6], [2, 0, 6], 2), /key: none/);
    assert.throws(
      () => nativeKernels.layerNorm(tape, zeros(3, 4), zeros(3), zeros(4), 1e-6),
      /a vector is not of the map's channels/,
    );
    const geometry = { stride: 1, dilation: 1, padding: 0 };
    assert.throws(
      () => nativeKernels.conv2d(tape, zeros(1, 2, 2, 3), zeros(1, 1, 3, 5), geometry, zeros(4)),
      /a vector is not of the map's channels/,
    );
  });
});
