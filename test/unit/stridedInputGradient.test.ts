/** The input gradient of convolutions with a stride, beside TensorFlow's own op. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float32, numTensors, readFloat32, scope } from '../../src/tensor/index.js';
import { nativeConvolution } from '../../src/tensor/kernels/convolution.js';
import { tensorflowOps } from '../../src/tensor/kernels/convolutionOps.js';
import { hasStridedParts } from '../../src/tensor/kernels/stridedInputGradient.js';
import { randomInput } from '../support/numerics/finiteDifference.js';

const tensorflow = tensorflowOps('Conv2D');

const CASES: Record<string, readonly [kernel: [number, number], stride: number, padding: number]> =
  {
    'the discriminator': [[4, 4], 2, 1],
    'a residual block': [[3, 3], 2, 1],
    'a kernel of two lengths': [[2, 5], 2, 0],
    'stride 3, kernel 3': [[3, 3], 3, 2],
    'a stem': [[7, 7], 2, 3],
  };

for (const [name, [[taps, across], stride, padding]] of Object.entries(CASES)) {
  test(`${name}: the same as TensorFlow's, whether the stride divides the map or not`, () => {
    const before = numTensors();
    for (const [height, width] of [
      [16, 12],
      [17, 13],
      [9, 18],
    ] as const) {
      const of = (length: number, kernel: number) =>
        Math.floor((length + 2 * padding - kernel) / stride) + 1;
      const shape = [2, height, width, 5];
      const geometry = { stride, dilation: 1, padding };
      const weights = [taps, across, 5, 7];
      assert.ok(hasStridedParts(weights, geometry), 'not by parts');
      const [own, wanted] = scope(() => {
        const tensor = (stream: number, sizes: readonly number[]) =>
          float32(randomInput(stream, [...sizes]).values, [...sizes]);
        const inputs = [tensor(1, weights), tensor(2, [2, of(height, taps), of(width, across), 7])];
        const [filter, dy] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
        return [nativeConvolution, tensorflow].map((ops) => {
          const dx = ops.inputGradient(shape, filter!, dy!, geometry);
          assert.deepEqual(dx.shape, shape);
          return readFloat32(dx);
        });
      });
      for (const [i, value] of own!.entries()) {
        const off = Math.abs(value - wanted![i]!);
        assert.ok(off < 1e-4, `${height}x${width}, ${i}: ${value}, ${wanted![i]}`);
      }
    }
    assert.equal(numTensors(), before);
  });
}

test('a stride without a tap for each remainder, or with dilation, is left to TensorFlow', () => {
  assert.equal(hasStridedParts([1, 1], { stride: 2, dilation: 1, padding: 0 }), false);
  assert.equal(hasStridedParts([3, 3], { stride: 2, dilation: 2, padding: 2 }), false);
  assert.equal(hasStridedParts([3, 3], { stride: 1, dilation: 1, padding: 1 }), false);
});
