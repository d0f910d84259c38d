/** Compares the addon's kernels with plain loops and with compositions of TensorFlow's ops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Activation,
  composedKernels,
  differentiable,
  float32,
  type Kernels,
  nativeKernels,
  readFloat32,
  scope,
  Tape,
  type Tensor,
  type Var,
} from '../../src/tensor/index.js';
import { nativeConvolution } from '../../src/tensor/kernels/convolution.js';
import { nativeDepthwise } from '../../src/tensor/kernels/depthwise.js';
import { randomInput } from '../support/numerics/finiteDifference.js';

const ACTIVATIONS: readonly Activation[] = ['none', 'relu', 'relu6'];

test('batch norm, shortcut and activation in one kernel: values, statistics and gradients', () => {
  for (const activation of ACTIVATIONS) {
    for (const withShortcut of [false, true]) {
      const results = [nativeKernels, composedKernels].map(({ batchNormTraining }) =>
        scope(() => {
          const tape = new Tape(true);
          // 300 positions: several chunks of sums and a rest. The mean is large relative to the deviation.
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
          const { y, running: moved } = batchNormTraining(tape, x, weights, running, after);
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

test('where an activation passed values on is found from x as from y', () => {
  for (const activation of ['relu', 'relu6'] as const) {
    // A shortcut of zeros changes no value, but with one the backward pass reads y.
    const [fromX, fromY] = [false, true].map((withShortcut) =>
      scope(() => {
        const tape = new Tape(true);
        const x = leaf(tape, 1, [2, 15, 10, 21], 3, 4);
        const zeros = tape.constant(float32(new Float32Array(x.value.size), x.shape));
        const weights = { scale_C: leaf(tape, 3, [21], 4), offset_C: leaf(tape, 4, [21]) };
        const running = { mean_C: weights.offset_C.value, variance_C: weights.offset_C.value };
        const after = { activation, shortcut: withShortcut ? zeros : null };
        const { y } = nativeKernels.batchNormTraining(tape, x, weights, running, after);
        const value = readFloat32(y.value);
        const { leaves } = tape.backward([[y, float32(randomInput(6, y.shape).values, y.shape)]]);
        const gradients = [x, weights.scale_C, weights.offset_C];
        return [value, ...gradients.map((of) => readFloat32(leaves.get(of)!))];
      }),
    );
    const [y] = fromX!;
    assert.ok(y!.includes(0) && y!.some((value) => value > 0), 'values on both sides');
    assert.deepEqual(fromX, fromY, activation);
  }
});

test('batch norm in one kernel: a first position far from all others costs no precision', () => {
  scope(() => {
    const values = randomInput(1, [1, 64, 64, 2]).values;
    values[0] = 1e4;
    const tape = new Tape(false);
    const vector = (value: number) => tape.constant(float32(new Float32Array(2).fill(value), [2]));
    const { running } = differentiable.batchNormTraining(
      tape,
      tape.constant(float32(values, [1, 64, 64, 2])),
      { scale_C: vector(1), offset_C: vector(0) },
      { mean_C: vector(0).value, variance_C: vector(0).value },
    );
    const own = Float64Array.from(values.filter((_, i) => i % 2 === 0));
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
    const squares = own.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const wanted = (0.1 * squares) / (own.length - 1);
    const got = readFloat32(running.variance_C)[0]!;
    assert.ok(Math.abs(got / wanted - 1) < 1e-5, `${got}, wanted ${wanted}`);
  });
});

test('batch norm in one kernel propagates NaN and infinity', () => {
  for (const [broken, at] of [
    [Number.NaN, 7],
    [Number.POSITIVE_INFINITY, 7],
    [Number.NaN, 1],
    [Number.NEGATIVE_INFINITY, 1],
  ] as const) {
    scope(() => {
      const values = randomInput(1, [1, 4, 4, 3]).values;
      values[at] = broken; // channel 1
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
      assert.ok(!Number.isFinite(readFloat32(y.value)[at]!));
      assert.ok(Number.isFinite(readFloat32(y.value)[6]!));
    });
  }
});

test('a convolution with its norm, shortcut and activation in one kernel', () => {
  for (const activation of ACTIVATIONS) {
    for (const depthwise of [false, true]) {
      for (const stride of [1, 2]) {
        for (const withShortcut of [false, true]) {
          const results = [nativeKernels, composedKernels].map(
            ({ normalisedConvolution: kernel }) =>
              scope(() => normalised(kernel, { activation, depthwise, stride, withShortcut })),
          );
          const what = `${activation} ${depthwise} ${stride} ${withShortcut}`;
          assertClose(results[0]!, results[1]!, what);
        }
      }
    }
  }
  scope(() => {
    assert.throws(() => {
      normalised(differentiable.normalisedConvolution, { recording: true });
    }, /a recording tape given/);
  });
});

function normalised(
  kernel: Kernels['normalisedConvolution'],
  {
    activation = 'relu',
    depthwise = false,
    stride = 1,
    withShortcut = false,
    recording = false,
  }: {
    activation?: Activation;
    depthwise?: boolean;
    stride?: number;
    withShortcut?: boolean;
    recording?: boolean;
  },
): Float32Array {
  const tape = new Tape(recording);
  const given = (index: number, shape: number[]) =>
    tape.constant(float32(randomInput(index, shape).values, shape));
  const outputs = [2, stride === 1 ? 9 : 5, stride === 1 ? 12 : 6, 20];
  const norm = {
    scale_C: given(3, [20]),
    offset_C: given(4, [20]),
    mean_C: given(5, [20]).value,
    variance_C: float32(randomInput(6, [20]).values.map(Math.abs), [20]),
  };
  const y = kernel(
    tape,
    given(1, [2, 9, 12, 20]),
    given(2, [3, 3, 20, depthwise ? 1 : 20]),
    { stride, dilation: 1, padding: 1, depthwise },
    norm,
    { activation, shortcut: withShortcut ? given(7, outputs) : null },
  );
  assert.deepEqual(y.shape, outputs);
  return readFloat32(y.value);
}

test('errors of kernels name the fault', () => {
  scope(() => {
    const zeros = (shape: number[]) =>
      float32(new Float32Array(shape.reduce((product, length) => product * length, 1)), shape);
    const geometry = { stride: 1, dilation: 1, padding: 1 };
    const x = zeros([1, 4, 4, 3]);
    assert.throws(
      () => nativeConvolution.forward(x, zeros([3, 3, 2, 5]), geometry),
      /another number of channels/,
    );
    assert.throws(
      () => nativeConvolution.forward(x, zeros([9, 9, 3, 5]), geometry),
      /smaller than the kernel/,
    );
    assert.throws(
      () => nativeConvolution.filterGradient(x, [3, 3, 3, 0], zeros([1, 4, 4, 0]), geometry),
      /empty/,
    );
    assert.throws(
      () =>
        nativeConvolution.inputGradient(
          [1, 4, 5, 3],
          zeros([3, 3, 3, 2]),
          zeros([1, 4, 4, 2]),
          geometry,
        ),
      /dy: not of the output's shape/,
    );
    assert.throws(
      () => nativeDepthwise.forward(x, zeros([3, 3, 2, 1]), geometry),
      /one filter for each/,
    );
  });
});

test('depthwise convolutions: values and gradients equal those composed of plain ones', () => {
  for (const { channels, stride, dilation } of [
    { channels: 1, stride: 1, dilation: 1 },
    { channels: 45, stride: 2, dilation: 1 },
    { channels: 96, stride: 1, dilation: 2 },
    { channels: 77, stride: 1, dilation: 4 },
  ]) {
    const results = [nativeKernels, composedKernels].map(({ depthwiseConv2d }) =>
      scope(() => {
        const tape = new Tape(true);
        const x = leaf(tape, 1, [2, 11, 14, channels]);
        const w = leaf(tape, 2, [3, 3, channels, 1]);
        const y = depthwiseConv2d(tape, x, w, { stride, dilation, padding: dilation });
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

/** Compares to 1e-4 of the largest value. */
function assertClose(got: Float32Array, wanted: Float32Array, what: string): void {
  assert.equal(got.length, wanted.length, what);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of wanted.entries()) {
    const isClose = Math.abs(got[i]! - value) <= 1e-4 * largest;
    if (!isClose) assert.fail(`${what}: element ${i} is ${got[i]}, wanted ${value}`);
  }
}
