/** The addon's kernels against plain loops, and against the same composed of TensorFlow's ops. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { composedBatchNorm, fusedBatchNorm } from '../../src/tensor/gradients/batchNorm.js';
import {
  composedDepthwise,
  depthwiseConv2d,
} from '../../src/tensor/gradients/depthwiseConvolution.js';
import {
  type Activation,
  differentiable,
  float32,
  readFloat32,
  scope,
  Tape,
  type Tensor,
  type Var,
} from '../../src/tensor/index.js';
import {
  composedNormalisedConv2d,
  fusedNormalisedConv2d,
} from '../../src/tensor/ops/normalisedConvolution.js';
import { randomInput } from '../support/finiteDifference.js';

const ERRORS = fileURLToPath(new URL('../support/convolutionErrors.ts', import.meta.url));
const ACTIVATIONS: readonly Activation[] = ['none', 'relu', 'relu6'];

for (const level of ['wide', 'medium', 'narrow']) {
  test(`convolutions with ${level} vectors (or the widest there are) equal plain loops`, () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', ERRORS], {
      encoding: 'utf8',
      env: { ...process.env, CIRKD_VECTOR_LEVEL: level },
    });
    assert.equal(status, 0, stderr);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(lines.length, 6);
    for (const { shape, y, dx, dw } of lines) {
      const errors = JSON.stringify({ shape, y, dx, dw });
      for (const error of [y, dx, dw]) assert.ok(error < 1e-5, errors);
    }
  });
}

test('batch norm, shortcut and activation in one kernel: values, statistics and gradients', () => {
  for (const activation of ACTIVATIONS) {
    for (const withShortcut of [false, true]) {
      const results = [fusedBatchNorm, composedBatchNorm].map((kernel) =>
        scope(() => {
          const tape = new Tape(true);
          // 300 positions: over a chunk of sums and a rest; a mean far from 0 beside the deviation.
          const [x, shortcut] = [
            leaf(tape, 1, [2, 15, 10, 21], 3, 40),
            leaf(tape, 2, [2, 15, 10, 21]),
          ];
          const weights = { scale_C: leaf(tape, 3, [21]), offset_C: leaf(tape, 4, [21]) };
          const running = {
            mean_C: float32(randomInput(5, [21]).values, [21]),
            variance_C: float32(new Float32Array(21).fill(2), [21]),
          };
          const after = { activation, shortcut: withShortcut ? shortcut : null };
          const { y, running: moved } = kernel(tape, x, weights, running, after);
          const value = readFloat32(y.value);
          const statistics = [moved.mean_C, moved.variance_C].map(readFloat32);
          const { leaves } = tape.backward([[y, float32(randomInput(6, y.shape).values, y.shape)]]);
          const gradients = [
            x,
            weights.scale_C,
            weights.offset_C,
            ...(withShortcut ? [shortcut] : []),
          ];
          return [value, ...statistics, ...gradients.map((one) => readFloat32(leaves.get(one)!))];
        }),
      );
      const [fused, composed] = results;
      for (const [index, wanted] of composed!.entries()) {
        assertClose(fused![index]!, wanted, `${activation} ${withShortcut} ${index}`);
      }
    }
  }
});

test('batch norm in one kernel passes broken values on', () => {
  for (const broken of [Number.NaN, Number.POSITIVE_INFINITY]) {
    scope(() => {
      const values = randomInput(1, [1, 4, 4, 3]).values;
      values[7] = broken; // channel 1
      const tape = new Tape(false);
      const ones = () => tape.constant(float32(new Float32Array(3).fill(1), [3]));
      const running = { mean_C: ones().value, variance_C: ones().value };
      const { y, running: moved } = differentiable.batchNormTraining(
        tape,
        tape.constant(float32(values, [1, 4, 4, 3])),
        { scale_C: ones(), offset_C: ones() },
        running,
        { activation: 'relu', shortcut: null },
      );
      assert.ok(!Number.isFinite(readFloat32(moved.variance_C)[1]!));
      assert.ok(!Number.isFinite(readFloat32(y.value)[7]!));
      assert.ok(Number.isFinite(readFloat32(y.value)[6]!));
    });
  }
});

test('a convolution with its norm, shortcut and activation in one kernel', () => {
  const vectors = (index: number) => float32(randomInput(index, [20]).values, [20]);
  for (const activation of ACTIVATIONS) {
    for (const stride of [1, 2]) {
      scope(() => {
        const x = float32(randomInput(1, [2, 9, 12, 7]).values, [2, 9, 12, 7]);
        const w = float32(randomInput(2, [3, 3, 7, 20]).values, [3, 3, 7, 20]);
        const shape = stride === 1 ? [2, 9, 12, 20] : [2, 5, 6, 20];
        const norm = {
          scale_C: vectors(3),
          offset_C: vectors(4),
          mean_C: vectors(5),
          variance_C: float32(randomInput(6, [20]).values.map(Math.abs), [20]),
        };
        for (const shortcut of [null, float32(randomInput(7, shape).values, shape)]) {
          const geometry = { stride, dilation: 1, padding: 1 };
          const options = { epsilon: 1e-5, activation, shortcut };
          const fused = fusedNormalisedConv2d(x, w, geometry, norm, options);
          const composed = composedNormalisedConv2d(x, w, geometry, norm, options);
          assert.deepEqual(fused.shape, shape);
          assertClose(readFloat32(fused), readFloat32(composed), `${activation} ${stride}`);
        }
      });
    }
  }
});

test('depthwise convolutions: values and gradients as composed of plain ones', () => {
  for (const { channels, stride, dilation } of [
    { channels: 1, stride: 1, dilation: 1 },
    { channels: 45, stride: 2, dilation: 1 },
    { channels: 96, stride: 1, dilation: 2 },
    { channels: 77, stride: 1, dilation: 4 },
  ]) {
    const results = [depthwiseConv2d, composedDepthwise].map((convolve) =>
      scope(() => {
        const tape = new Tape(true);
        const x = leaf(tape, 1, [2, 11, 14, channels]);
        const w = leaf(tape, 2, [3, 3, channels, 1]);
        const y = convolve(tape, x, w, { stride, dilation, padding: dilation });
        const value = readFloat32(y.value);
        const { leaves } = tape.backward([[y, float32(randomInput(3, y.shape).values, y.shape)]]);
        return [value, ...[x, w].map((one) => readFloat32(leaves.get(one)!))];
      }),
    );
    const [native, composed] = results;
    for (const [index, wanted] of composed!.entries()) {
      assertClose(native![index]!, wanted, `${channels} channels, ${index}`);
    }
  }
});

function leaf(tape: Tape, index: number, shape: number[], scale = 1, mean = 0): Var {
  const values = randomInput(index, shape, scale).values.map((value) => value + mean);
  return tape.leaf(float32(values, shape) as Tensor);
}

/** To 1e-4 of the largest. */
function assertClose(got: Float32Array, wanted: Float32Array, what: string): void {
  assert.equal(got.length, wanted.length, what);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of wanted.entries()) {
    const isClose = Math.abs(got[i]! - value) <= 1e-4 * largest;
    if (!isClose) assert.fail(`${what}: element ${i} is ${got[i]}, wanted ${value}`);
  }
}
