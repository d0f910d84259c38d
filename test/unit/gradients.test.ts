import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  differentiable as d,
  fill,
  float32,
  numTensors,
  ops,
  readFloat32,
  scope,
  Tape,
  type Var,
} from '../../src/tensor/index.js';
import {
  assertGradients,
  type Input,
  randomInput,
  separatedInput,
} from '../support/numerics/finiteDifference.js';

const constant = (input: Input): Input => ({ ...input, differentiate: false });
const positive = (input: Input): Input => ({
  ...input,
  values: input.values.map((value) => 0.5 + Math.abs(value)),
});

test('conv2d: strides, dilations, odd sizes', () => {
  const cases = [
    { size: [7, 9], kernel: 3, stride: 1, dilation: 1 },
    { size: [7, 9], kernel: 3, stride: 2, dilation: 1 },
    { size: [8, 6], kernel: 3, stride: 2, dilation: 1 },
    { size: [7, 9], kernel: 3, stride: 1, dilation: 2 },
    { size: [9, 5], kernel: 3, stride: 1, dilation: 4 },
    { size: [13, 13], kernel: 3, stride: 1, dilation: 12 },
    { size: [13, 9], kernel: 3, stride: 1, dilation: 12 },
    { size: [12, 13], kernel: 3, stride: 1, dilation: 12 },
    { size: [5, 6], kernel: 3, stride: 1, dilation: 12 },
    { size: [5, 4], kernel: 1, stride: 1, dilation: 1 },
    { size: [5, 4], kernel: 1, stride: 2, dilation: 1 },
  ];
  for (const { size, kernel, stride, dilation } of cases) {
    const padding = (dilation * (kernel - 1)) / 2;
    const x = randomInput(1, [2, ...size, 3]);
    const weights = randomInput(2, [kernel, kernel, 3, 5], 0.3);
    const fn = (tape: Tape, [a, w]: Var[]) => d.conv2d(tape, a!, w!, { stride, dilation, padding });
    assertGradients(fn, [x, weights]);
    assertGradients(fn, [constant(x), weights], { elements: 5 });
    assertGradients(fn, [x, constant(weights)], { elements: 5 });
  }
});

test('conv2d: maps of several blocks of rows', () => {
  for (const { size, dilation } of [
    { size: [16, 19], dilation: 2 },
    { size: [33, 32], dilation: 4 },
    { size: [35, 34], dilation: 4 },
  ]) {
    const geometry = { stride: 1, dilation, padding: dilation };
    const fn = (tape: Tape, [a, w]: Var[]) => d.conv2d(tape, a!, w!, geometry);
    const weights = randomInput(4, [3, 3, 2, 3], 0.3);
    assertGradients(fn, [constant(randomInput(3, [2, ...size, 2])), weights]);
  }
});

test('conv2d leaves out only taps that cover nothing but padding', () => {
  scope(() => {
    const tape = new Tape(false);
    // One row of 5; the kernel's row 1 2 3 lies between rows of 7 that are outside of the map.
    const x = tape.constant(float32(Float32Array.of(1, 10, 100, 1000, 10000), [1, 1, 5, 1]));
    const kernel = tape.constant(float32(Float32Array.of(7, 7, 7, 1, 2, 3, 7, 7, 7), [3, 3, 1, 1]));
    const convolve = (dilation: number) =>
      readFloat32(d.conv2d(tape, x, kernel, { stride: 1, dilation, padding: dilation }).value);
    assert.deepEqual([...convolve(4)], [30002, 20, 200, 2000, 20001]);
    assert.deepEqual([...convolve(5)], [2, 20, 200, 2000, 20000]);
    assert.deepEqual([...convolve(2)], [302, 3020, 30201, 2010, 20100]);
  });
});

test('depthwiseConv2d: strides, dilations, odd sizes', () => {
  const cases = [
    { size: [7, 9], stride: 1, dilation: 1 },
    { size: [7, 9], stride: 2, dilation: 1 },
    { size: [6, 8], stride: 2, dilation: 1 },
    { size: [6, 8], stride: 1, dilation: 2 },
    { size: [7, 9], stride: 1, dilation: 2 },
    { size: [7, 9], stride: 1, dilation: 4 },
    { size: [13, 2], stride: 1, dilation: 12 },
  ];
  for (const { size, stride, dilation } of cases) {
    const x = randomInput(3, [2, ...size, 4]);
    const weights = randomInput(4, [3, 3, 4, 1], 0.5);
    const fn = (tape: Tape, [a, w]: Var[]) =>
      d.depthwiseConv2d(tape, a!, w!, { stride, dilation, padding: dilation });
    assertGradients(fn, [x, weights]);
    assertGradients(fn, [constant(x), weights], { elements: 5 });
    assertGradients(fn, [x, constant(weights)], { elements: 5 });
  }
});

test('depthwiseConv2d equals a dense convolution with a diagonal kernel', () => {
  for (const dilation of [1, 2, 4]) {
    scope(() => {
      const tape = new Tape(false);
      const x = tape.constant(float32(randomInput(5, [2, 7, 10, 3]).values, [2, 7, 10, 3]));
      const weights = randomInput(6, [3, 3, 3, 1]).values;
      const dense = new Float32Array(3 * 3 * 3 * 3);
      for (let tap = 0; tap < 9; tap++) {
        for (let c = 0; c < 3; c++) dense[(tap * 3 + c) * 3 + c] = weights[tap * 3 + c]!;
      }
      const geometry = { stride: 1, dilation, padding: dilation };
      const depthwiseWeights = tape.constant(float32(weights, [3, 3, 3, 1]));
      const denseWeights = tape.constant(float32(dense, [3, 3, 3, 3]));
      const got = readFloat32(d.depthwiseConv2d(tape, x, depthwiseWeights, geometry).value);
      const wanted = readFloat32(d.conv2d(tape, x, denseWeights, geometry).value);
      for (const [i, value] of wanted.entries()) {
        assert.ok(Math.abs(got[i]! - value) < 1e-5, `dilation ${dilation}, element ${i}`);
      }
    });
  }
});

test('batchNorm with batch statistics', () => {
  const inputs = [randomInput(7, [2, 3, 5, 4]), randomInput(8, [4]), randomInput(9, [4])];
  assertGradients((tape, [x, scale_C, offset_C]) => {
    const running = { mean_C: fill([4], 0.3), variance_C: fill([4], 2) };
    return d.batchNormTraining(tape, x!, { scale_C: scale_C!, offset_C: offset_C! }, running).y;
  }, inputs);
});

test('batchNorm moves the running statistics by a tenth, variance unbiased', () => {
  scope(() => {
    const tape = new Tape(false);
    // One channel with the values 1, 2, 3, 6: mean 3, unbiased variance (4 + 1 + 0 + 9) / 3.
    const x = tape.constant(float32(Float32Array.of(1, 2, 3, 6), [1, 2, 2, 1]));
    const weights = {
      scale_C: tape.constant(fill([1], 1)),
      offset_C: tape.constant(fill([1], 0)),
    };
    const { y, running } = d.batchNormTraining(tape, x, weights, {
      mean_C: fill([1], 10),
      variance_C: fill([1], 5),
    });
    assert.ok(
      Math.abs(readFloat32(running.mean_C)[0]! - (9 + 0.3)) < 1e-5,
      `running mean ${readFloat32(running.mean_C)}`,
    );
    assert.ok(
      Math.abs(readFloat32(running.variance_C)[0]! - (4.5 + (0.1 * 14) / 3)) < 1e-5,
      `running variance ${readFloat32(running.variance_C)}`,
    );
    // Normalised with the biased variance 14 / 4.
    assert.ok(
      Math.abs(readFloat32(y.value)[3]! - 3 / Math.sqrt(3.5 + 1e-5)) < 1e-5,
      `output ${readFloat32(y.value)}`,
    );
    const single = tape.constant(fill([1, 1, 1, 1], 2));
    assert.throws(
      () =>
        d.batchNormTraining(tape, single, weights, {
          mean_C: fill([1], 10),
          variance_C: fill([1], 5),
        }),
      /one value per channel/,
    );
  });
});

test('batchNorm with given statistics', () => {
  const mean = randomInput(12, [4]);
  const variance = positive(randomInput(13, [4]));
  assertGradients(
    (tape, [x, scale_C, offset_C, mean_C, variance_C]) =>
      d.batchNormInference(
        tape,
        x!,
        { scale_C: scale_C!, offset_C: offset_C! },
        { mean_C: mean_C!.value, variance_C: variance_C!.value },
      ),
    [
      randomInput(10, [2, 3, 5, 4]),
      randomInput(11, [4]),
      randomInput(14, [4]),
      constant(mean),
      constant(variance),
    ],
  );
});

test('relu and relu6', () => {
  assertGradients((tape, [x]) => d.relu(tape, x!), [separatedInput(15, [2, 3, 5, 4], 0.1)]);
  // 120 values from -11.9 to 11.9 in steps of 0.2: 6 lies halfway between two of them.
  assertGradients((tape, [x]) => d.relu6(tape, x!), [separatedInput(16, [2, 3, 5, 4], 0.2)], {
    elements: 120,
  });
});

test('maxPool: window 3, stride 2, padding 1, odd and even sizes', () => {
  for (const size of [
    [7, 9],
    [6, 8],
    [1, 2],
  ]) {
    const geometry = { window: 3, stride: 2, padding: 1 };
    assertGradients(
      (tape, [x]) => d.maxPool(tape, x!, geometry),
      [separatedInput(17, [2, ...size, 3], 0.1)],
    );
  }
});

test('average pooling: global, adaptive', () => {
  const x = randomInput(18, [2, 7, 10, 3]);
  assertGradients((tape, [a]) => d.globalAveragePool(tape, a!), [x]);
  for (const size of [1, 2, 3, 6]) {
    assertGradients((tape, [a]) => d.adaptiveAveragePool(tape, a!, size), [x]);
    // Fewer positions than bins: bins overlap.
    assertGradients(
      (tape, [a]) => d.adaptiveAveragePool(tape, a!, size),
      [randomInput(19, [1, 4, 2, 3])],
    );
  }
});

test('average pooling: bins calculated by hand', () => {
  scope(() => {
    const tape = new Tape(false);
    const row = tape.constant(float32(Float32Array.of(1, 2, 3, 4, 5), [1, 1, 5, 1]));
    // 5 positions to 2 bins: [0, 3) and [2, 5); the single row belongs to both bins of rows.
    const adaptive = readFloat32(d.adaptiveAveragePool(tape, row, 2).value);
    assert.deepEqual([...adaptive].map(Math.fround), [2, 4, 2, 4]);
  });
});

test('resizeBilinear with aligned corners and with half-pixel centres, also for sizes of 1', () => {
  const cases = [
    { from: [3, 4], to: [7, 9] },
    { from: [1, 1], to: [3, 5] },
    { from: [1, 3], to: [4, 5] },
    { from: [3, 1], to: [5, 1] },
    { from: [6, 6], to: [4, 3] },
    { from: [2, 5], to: [9, 6] },
    { from: [3, 3], to: [1, 1] },
    { from: [3, 3], to: [3, 3] },
  ] as const;
  for (const { from, to } of cases) {
    const [height, width] = to;
    for (const alignCorners of [true, false]) {
      assertGradients(
        (tape, [x]) => d.resizeBilinear(tape, x!, { height, width }, alignCorners),
        [randomInput(20, [2, ...from, 3])],
      );
    }
  }
  scope(() => {
    const tape = new Tape(false);
    const x = tape.constant(float32(Float32Array.of(0, 2), [1, 1, 2, 1]));
    const resized = (alignCorners: boolean) => {
      const y = d.resizeBilinear(tape, x, { height: 1, width: 5 }, alignCorners);
      return [...readFloat32(y.value)].map((value) => Number(value.toFixed(6)));
    };
    assert.deepEqual(resized(true), [0, 0.5, 1, 1.5, 2]);
    // Position i has its centre at (i + 0.5) * 2 / 5 - 0.5: -0.3, 0.1, 0.5, 0.9, 1.3; held at the borders.
    assert.deepEqual(resized(false), [0, 0.2, 1, 1.8, 2]);
  });
});

test('add, concat, biasAdd', () => {
  const a = randomInput(21, [2, 3, 2, 4]);
  const b = randomInput(22, [2, 3, 2, 4]);
  assertGradients((tape, [x, y]) => d.add(tape, x!, y!), [a, b]);
  assertGradients((tape, [x]) => d.add(tape, x!, x!), [a]);
  assertGradients(
    (tape, [x, y, z]) => d.concat(tape, [x!, y!, z!], 3),
    [a, randomInput(23, [2, 3, 2, 1]), constant(b)],
  );
  assertGradients((tape, [x, bias]) => d.biasAdd(tape, x!, bias!), [a, randomInput(24, [4])]);
  const tape = new Tape(false);
  scope(() => {
    const x = tape.constant(fill([1, 2], 1));
    const y = tape.constant(fill([1, 3], 1));
    assert.throws(() => d.add(tape, x, y), /\[1,2\] and \[1,3\]/);
  });
});

test('dropout: a pure function of its seed, mean kept', () => {
  const x = randomInput(25, [2, 3, 5, 4]);
  for (const unit of ['element', 'channel'] as const) {
    assertGradients((tape, [a]) => d.dropout(tape, a!, { probability: 0.5, unit }, [7, 9]), [x]);
  }
  scope(() => {
    const tape = new Tape(false);
    const ones = tape.constant(fill([100, 1000], 1));
    const draw = (seed: [number, number]) =>
      d.dropout(tape, ones, { probability: 0.1, unit: 'element' }, seed).value;
    const first = readFloat32(draw([1, 2]));
    assert.deepEqual(first, readFloat32(draw([1, 2])));
    assert.notDeepEqual(first, readFloat32(draw([1, 3])));
    assert.deepEqual([...new Set(first)].sort(), [0, Math.fround(1 / 0.9)]);
    // 100000 draws: the share of zeros deviates by 0.001 (one sigma).
    const zeros = first.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
    assert.ok(Math.abs(zeros / 100_000 - 0.1) < 0.006, `${zeros} zeros`);
  });
});

test('dropout of channels: all positions of an image are 0, or none', () => {
  const [images, positions, channels] = [3, 4, 200];
  const values = scope(() => {
    const tape = new Tape(false);
    const ones = tape.constant(fill([images, 2, 2, channels], 1));
    const options = { probability: 0.3, unit: 'channel' } as const;
    return readFloat32(d.dropout(tape, ones, options, [1, 2]).value);
  });
  const at = (image: number, position: number, channel: number) =>
    values[(image * positions + position) * channels + channel]!;
  let zeros = 0;
  for (let image = 0; image < images; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const own = new Set([0, 1, 2, 3].map((position) => at(image, position, channel)));
      assert.equal(own.size, 1, `image ${image}, channel ${channel}: ${[...own]}`);
      if (own.has(0)) zeros += 1;
    }
  }
  // 600 draws: the share deviates by 0.019 (one sigma). Images are drawn separately.
  assert.ok(Math.abs(zeros / 600 - 0.3) < 0.1, `${zeros} zeros`);
  assert.notDeepEqual(
    values.subarray(0, channels),
    values.subarray(positions * channels).subarray(0, channels),
  );
});

test('a value that is used twice gets the sum of both gradients', () => {
  assertGradients(
    (tape, [x, w]) => {
      const geometry = { stride: 1, dilation: 1, padding: 1 };
      const once = d.relu(tape, d.conv2d(tape, x!, w!, geometry));
      return d.add(tape, d.conv2d(tape, once, w!, geometry), once);
    },
    // Positive, so that no step crosses the rectifier's kink.
    [positive(randomInput(26, [1, 4, 5, 2])), positive(randomInput(27, [3, 3, 2, 2]))],
  );
});

test('a tape without recording keeps nothing', () => {
  scope(() => {
    const tape = new Tape(false);
    const x = tape.leaf(fill([1, 4, 4, 2], 1));
    const y = scope(() => d.relu(tape, d.relu(tape, x)));
    assert.equal(y.needsGradient, false);
    assert.equal(readFloat32(ops.sum(y.value, [0, 1, 2, 3]))[0], 32);
  });
});

test('a backward function that throws leaves no tensor behind', () => {
  const before = numTensors();
  scope(() => {
    const tape = new Tape(true);
    const x = tape.leaf(float32(Float32Array.of(1, 2), [2]));
    const square = tape.record(ops.square(x.value), [x], [x.value], (dy) => [ops.mul(dy, x.value)]);
    const saved = ops.exp(square.value);
    const broken = tape.record(saved, [square], [saved], (dy) => {
      ops.mul(dy, saved);
      throw new RangeError('no gradient');
    });
    const sum = tape.record(ops.add(broken.value, square.value), [broken, square], [], (dy) => [
      dy,
      dy,
    ]);
    assert.throws(() => tape.backward([[sum, fill([2], 1)]]), /no gradient/);
    // The tape holds nothing any more: the remaining tensors belong to the scope.
    tape.dispose();
  });
  assert.equal(numTensors(), before);
});
