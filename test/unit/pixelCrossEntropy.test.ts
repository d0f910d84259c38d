/** Cross entropy at full resolution: compares the addon's kernel with the composition of TensorFlow's ops. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawsFor } from '../../src/random/draws.js';
import {
  composedKernels,
  float32,
  nativeKernels,
  numTensors,
  readFloat32,
  scope,
} from '../../src/tensor/index.js';

const uniform = (length: number, stream: number, reach: number) => {
  const values = new Float32Array(length);
  drawsFor(12, 'test', stream).fillUniform(values, -reach, reach);
  return values;
};

const ALIGNED = { scale: 1, alignCorners: true };

/** [images, h, w, classes, H, W]: enlarged, unchanged, reduced, one position, many classes. */
const SIZES = [
  [2, 5, 7, 19, 37, 53],
  [1, 4, 6, 3, 4, 6],
  [3, 9, 8, 12, 5, 3],
  [2, 1, 1, 5, 6, 7],
  [1, 6, 1, 40, 1, 9],
  [2, 33, 17, 16, 130, 65],
] as const;

describe('pixelCrossEntropy', () => {
  const CASES = SIZES.flatMap((sizes) => [true, false].map((align) => [align, ...sizes] as const));

  it('is the same fused and composed, with aligned corners and with half-pixel centres', () => {
    for (const [alignCorners, images, h, w, classes, height, width] of CASES) {
      scope(() => {
        const logits = float32(uniform(images * h * w * classes, 1, 20), [images, h, w, classes]);
        const draws = uniform(images * height * width, 2, 1);
        // Class numbers, with about a tenth of the pixels ignored.
        const data = Uint8Array.from(draws, (u) => Math.floor(((u + 1) / 2) * classes * 1.1));
        const labels = { data, height, width };
        const options = { scale: 0.25, alignCorners };
        const [fused, composed] = [
          nativeKernels.pixelCrossEntropy(logits, labels, options),
          composedKernels.pixelCrossEntropy(logits, labels, options),
        ].map((result) => ({
          loss: readFloat32(result.lossSum_1)[0]!,
          gradient: readFloat32(result.gradient_NhwK),
        }));
        const size = `corners ${alignCorners}: ${images} x ${h} x ${w} x ${classes} to ${height} x ${width}`;
        const off = Math.abs(fused!.loss / composed!.loss - 1);
        assert.ok(off < 2e-6, `${size}: loss ${fused!.loss}, composed ${composed!.loss}`);
        for (const [i, value] of fused!.gradient.entries()) {
          const wanted = composed!.gradient[i]!;
          assert.ok(Math.abs(value - wanted) < 2e-5, `${size} at ${i}: ${value}, wanted ${wanted}`);
        }
      });
    }
  });

  it('aligns positions with pixels by the requested rule', () => {
    scope(() => {
      // Logits 0 and x of two classes, x 0 and 2 at the two positions: the loss of class 0 is log(1 + e^x).
      const logits = float32(Float32Array.of(0, 0, 0, 2), [1, 1, 2, 2]);
      const labels = { data: new Uint8Array(5), height: 1, width: 5 };
      const rules = { true: [0, 0.5, 1, 1.5, 2], false: [0, 0.2, 1, 1.8, 2] };
      for (const [rule, at] of Object.entries(rules)) {
        const wanted = at.reduce((sum, x) => sum + Math.log1p(Math.exp(x)), 0);
        const options = { scale: 1, alignCorners: rule === 'true' };
        for (const { pixelCrossEntropy } of [nativeKernels, composedKernels]) {
          const loss = readFloat32(pixelCrossEntropy(logits, labels, options).lossSum_1)[0]!;
          assert.ok(Math.abs(loss - wanted) < 1e-5, `corners ${rule}: ${loss}, wanted ${wanted}`);
        }
      }
    });
  });

  it('keeps a small loss precise beside large logits', () => {
    scope(() => {
      const logits = float32(Float32Array.of(314, 300), [1, 1, 1, 2]);
      const labels = { data: new Uint8Array(1), height: 1, width: 1 };
      const loss = readFloat32(
        nativeKernels.pixelCrossEntropy(logits, labels, ALIGNED).lossSum_1,
      )[0]!;
      const wanted = Math.log1p(Math.exp(-14));
      assert.ok(Math.abs(loss - wanted) < 1.3e-7, `loss ${loss}, wanted ${wanted}`);
    });
  });

  it('is 0 when every pixel is ignored', () => {
    scope(() => {
      const logits = float32(uniform(12, 3, 1), [1, 2, 2, 3]);
      const labels = { data: new Uint8Array(20).fill(255), height: 4, width: 5 };
      const { lossSum_1, gradient_NhwK } = nativeKernels.pixelCrossEntropy(logits, labels, ALIGNED);
      assert.deepEqual([...readFloat32(lossSum_1)], [0]);
      assert.deepEqual([...readFloat32(gradient_NhwK)], new Array(12).fill(0));
    });
  });

  it('propagates NaN, and refuses labels of the wrong batch size', () => {
    const before = numTensors();
    scope(() => {
      const values = uniform(12, 4, 1);
      values[3] = Number.NaN;
      const logits = float32(values, [1, 2, 2, 3]);
      const labels = { data: new Uint8Array(4), height: 2, width: 2 };
      const { lossSum_1 } = nativeKernels.pixelCrossEntropy(logits, labels, ALIGNED);
      assert.ok(Number.isNaN(readFloat32(lossSum_1)[0]), 'a NaN got lost');
      assert.throws(
        () => nativeKernels.pixelCrossEntropy(logits, { ...labels, width: 3 }, ALIGNED),
        /data: 4/,
      );
    });
    assert.equal(numTensors(), before);
  });
});
