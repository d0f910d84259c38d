/** What transformers are made of: gradients against difference quotients, tiles, values known in closed form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  differentiable as d,
  fill,
  float32,
  readFloat32,
  scope,
  Tape,
} from '../../src/tensor/index.js';
import { assertGradients, randomInput } from '../support/numerics/finiteDifference.js';

test('layer norm: gradients of input, scale and offset', () => {
  const inputs = [randomInput(1, [2, 3, 5, 6]), randomInput(2, [6]), randomInput(3, [6])];
  for (const epsilon of [1e-6, 0.5]) {
    assertGradients((tape, [x, w, b]) => d.layerNorm(tape, x!, w!, b!, epsilon), inputs);
  }
  const constant = inputs.map((input, at) => ({ ...input, differentiate: at === 1 }));
  assertGradients((tape, [x, w, b]) => d.layerNorm(tape, x!, w!, b!, 1e-6), constant);
});

test('layer norm: the biased deviation, with epsilon under the root', () => {
  const y = scope(() => {
    const tape = new Tape(false);
    const x = tape.constant(float32(Float32Array.of(1, 3, 5, 7), [2, 2]));
    const [scale, offset] = [fill([2], 2), fill([2], 10)].map((value) => tape.constant(value));
    return readFloat32(d.layerNorm(tape, x, scale!, offset!, 3).value);
  });
  // Deviations of 1 around 2 and 6: 1 / sqrt(1 + 3) is half, times 2.
  for (const [i, wanted] of [9, 11, 9, 11].entries()) {
    assert.ok(Math.abs(y[i]! - wanted) < 1e-5, `${y}`);
  }
});

test('GELU is the exact one, with its gradient', () => {
  assertGradients((tape, [x]) => d.gelu(tape, x!), [randomInput(4, [2, 3, 7], 1.5)]);
  const y = scope(() => {
    const x = float32(Float32Array.of(-1, 0, 1, 2), [4]);
    return readFloat32(d.gelu(new Tape(false), new Tape(false).constant(x)).value);
  });
  // Phi(1) = 0.8413447, Phi(2) = 0.9772499; the approximation with tanh has 0.8411920 at 1.
  for (const [i, wanted] of [-0.1586553, 0, 0.8413447, 1.9544997].entries()) {
    assert.ok(Math.abs(y[i]! - wanted) < 2e-6, `${y}`);
  }
});

test('reshape, transpose and a range of an axis: gradients', () => {
  const x = [randomInput(5, [2, 3, 4])];
  assertGradients((tape, [a]) => d.reshape(tape, a!, [6, 4]), x);
  assertGradients((tape, [a]) => d.transpose(tape, a!, [2, 0, 1]), x);
  assertGradients((tape, [a]) => d.axisRange(tape, a!, 2, 1, 2), x);
  assertGradients((tape, [a]) => d.axisRange(tape, a!, 1, 2, 1), x);
});

test('attention: gradients in tiles of any size, with fewer keys than queries', () => {
  const inputs = [randomInput(1, [3, 5, 3]), randomInput(2, [3, 4, 3]), randomInput(3, [3, 4, 2])];
  // Single rows; two and two and one; a whole map; two maps; all.
  for (const tileElements of [1, 8, 20, 40, 1000]) {
    assertGradients(
      (tape, [query, key, value]) =>
        d.attention(tape, query!, key!, value!, { factor: 0.7, tileElements }),
      inputs,
    );
  }
});

test('attention: the same values in tiles of any size', () => {
  const values = ([...shape]: readonly number[], at: number) =>
    float32(randomInput(at, shape).values, shape);
  const run = (tileElements: number) =>
    scope(() => {
      const tape = new Tape(false);
      const [query, key, value] = [
        [3, 5, 3],
        [3, 4, 3],
        [3, 4, 2],
      ].map((shape, at) => tape.constant(values(shape, at + 1)));
      return readFloat32(
        d.attention(tape, query!, key!, value!, { factor: 0.7, tileElements }).value,
      );
    });
  const whole = run(1000);
  for (const tileElements of [1, 8, 20, 40]) {
    for (const [i, value] of run(tileElements).entries()) {
      assert.ok(Math.abs(value - whole[i]!) < 1e-6, `${tileElements}: ${value}, ${whole[i]}`);
    }
  }
});

test('attention gives each position the mean of all values where all keys are equal', () => {
  scope(() => {
    const tape = new Tape(false);
    const query = tape.constant(float32(randomInput(5, [1, 3, 2]).values, [1, 3, 2]));
    const value = tape.constant(float32(Float32Array.of(1, 2, 6), [1, 3, 1]));
    const key = tape.constant(fill([1, 3, 2], 1));
    const options = { factor: 1, tileElements: 6 };
    const out = readFloat32(d.attention(tape, query, key, value, options).value);
    assert.ok(
      out.every((x) => Math.abs(x - 3) < 1e-6),
      `${out}`,
    );
  });
});

test('drop path: whole images are 0, the others scaled', () => {
  const options = { probability: 0.25, unit: 'image' } as const;
  assertGradients((tape, [a]) => d.dropout(tape, a!, options, [7, 9]), [randomInput(6, [5, 2, 3])]);
  const images = 400;
  const values = scope(() => {
    const tape = new Tape(false);
    const ones = tape.constant(fill([images, 2, 2, 3], 1));
    return readFloat32(d.dropout(tape, ones, options, [1, 2]).value);
  });
  let zeros = 0;
  for (let image = 0; image < images; image++) {
    const own = [...new Set(values.subarray(12 * image, 12 * image + 12))];
    assert.equal(own.length, 1, `image ${image}: ${own}`);
    assert.ok(own[0] === 0 || Math.abs(own[0]! - 4 / 3) < 1e-6, `${own}`);
    if (own[0] === 0) zeros += 1;
  }
  // 400 draws: the share deviates by 0.022 (one sigma).
  assert.ok(Math.abs(zeros / images - 0.25) < 0.1, `${zeros} zeros`);
});
