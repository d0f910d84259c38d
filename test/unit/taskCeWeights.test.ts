/** Class weights and OHEM of the task loss, against plain loops in double precision and finite differences. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LabelMaps } from '../../src/losses/nearestLabels.js';
import { type TaskCeOptions, taskCe } from '../../src/losses/taskCe.js';
import { drawsFor } from '../../src/random/draws.js';
import {
  composedKernels,
  float32,
  nativeKernels,
  readFloat32,
  scope,
} from '../../src/tensor/index.js';
import { assertLossGradient } from '../support/numerics/lossGradient.js';

const IGNORE = 255;
const [IMAGES, H, W, K] = [2, 5, 6, 4];
const PIXELS = IMAGES * H * W;
const PLAIN: TaskCeOptions = { ignoreLabel: IGNORE, alignCorners: true };

const uniform = (length: number, stream: number, reach = 2) => {
  const values = new Float32Array(length);
  drawsFor(31, 'test', stream).fillUniform(values, -reach, reach);
  return values;
};

const LOGITS = uniform(PIXELS * K, 1);
/** About a tenth of the pixels are ignored. The labels are as large as the logits. */
const LABELS: LabelMaps = {
  ...{ images: IMAGES, height: H, width: W },
  data: Uint8Array.from(uniform(PIXELS, 2, 1), (u) => {
    const label = Math.floor(((u + 1) / 2) * K * 1.1);
    return label < K ? label : IGNORE;
  }),
};

/** Of each labelled pixel; in the labels' order. */
function plainLosses(logits: Float32Array): { label: number; loss: number }[] {
  return [...LABELS.data].flatMap((label, p) => {
    if (label === IGNORE) return [];
    const own = [...logits.subarray(p * K, (p + 1) * K)];
    const sum = own.reduce((total, value) => total + Math.exp(value), 0);
    return [{ label, loss: Math.log(sum) - own[label]! }];
  });
}

function weightedMean(losses: { label: number; loss: number }[], weights: readonly number[]) {
  const total = losses.reduce((sum, { label }) => sum + weights[label]!, 0);
  return losses.reduce((sum, { label, loss }) => sum + weights[label]! * loss, 0) / total;
}

const evaluate = (logits: Float32Array, options: Partial<TaskCeOptions>, labels = LABELS) =>
  scope(() => {
    const shape = [IMAGES, H, W, K];
    const result = taskCe(float32(logits.slice(), shape), labels, { ...PLAIN, ...options });
    return { loss: result.loss, gradient: readFloat32(result.gradient_NhwK) };
  });

const close = (got: number, wanted: number, name: string) =>
  assert.ok(
    Math.abs(got - wanted) < 1e-5 * Math.max(1, Math.abs(wanted)),
    `${name}: ${got}, wanted ${wanted}`,
  );

describe('class weights', () => {
  const classWeights = [0.5, 3, 0, 1.25];

  it('give sum(w l) / sum(w), and its gradient', () => {
    const { loss, gradient } = evaluate(LOGITS, { classWeights });
    close(loss, weightedMean(plainLosses(LOGITS), classWeights), 'loss');
    assertLossGradient((x) => weightedMean(plainLosses(x), classWeights), LOGITS, gradient, {
      step: 1e-2,
      tolerance: 2e-3,
    });
  });

  it('of 1 change no bit, fused and composed', () => {
    const plain = evaluate(LOGITS, {});
    assert.deepEqual(evaluate(LOGITS, { classWeights: [1, 1, 1, 1] }), plain);
    assert.deepEqual(evaluate(LOGITS, { classWeights: null, ohem: null }), plain);
  });

  it('are the same fused and composed, for enlarged logits and both rules', () => {
    const labels = { data: LABELS.data, height: H, width: W };
    const small = float32(uniform(IMAGES * 2 * 3 * K, 5), [IMAGES, 2, 3, K]);
    for (const alignCorners of [true, false]) {
      const options = { scale: 0.5, alignCorners, classWeights: Float32Array.from(classWeights) };
      const [fused, composed] = [nativeKernels, composedKernels].map(({ pixelCrossEntropy }) =>
        scope(() => {
          const { lossSum_1, gradient_NhwK } = pixelCrossEntropy(small, labels, options);
          return [...readFloat32(lossSum_1), ...readFloat32(gradient_NhwK)];
        }),
      );
      for (const [i, value] of fused!.entries())
        close(value, composed![i]!, `${alignCorners} ${i}`);
    }
    small.dispose();
  });

  it('of 0 for every labelled class are like no label; their number is checked', () => {
    const only = { ...LABELS, data: new Uint8Array(PIXELS).fill(2) };
    assert.equal(evaluate(LOGITS, { classWeights }, only).loss, 0);
    const nan = evaluate(LOGITS, { classWeights, allIgnored: 'nan' }, only);
    assert.ok(Number.isNaN(nan.loss));
    assert.throws(
      () => evaluate(LOGITS, { classWeights: [1, 2] }),
      /classWeights: 2 given, wanted 4/,
    );
  });
});

describe('ohem', () => {
  /** By sorting: the pixels below the threshold, or the minKept hardest if these are more. */
  function hardest(logits: Float32Array, threshold: number, minKept: number) {
    const sorted = plainLosses(logits).sort((a, b) => b.loss - a.loss);
    const below = sorted.filter(({ loss }) => Math.exp(-loss) < threshold).length;
    return sorted.slice(0, Math.max(below, minKept));
  }
  const ones = [1, 1, 1, 1];

  for (const [name, threshold, minKept] of [
    ['the threshold decides', 0.4, 5],
    ['minKept decides', 0.01, 17],
    ['all pixels are wanted', 0.2, 1000],
  ] as const) {
    it(`is the mean over the hardest pixels, with its gradient: ${name}`, () => {
      const ohem = { threshold, minKept };
      const { loss, gradient } = evaluate(LOGITS, { ohem });
      close(loss, weightedMean(hardest(LOGITS, threshold, minKept), ones), 'loss');
      // The choice of pixels has no gradient; small enough steps don't change it.
      assertLossGradient(
        (x) => weightedMean(hardest(x, threshold, minKept), ones),
        LOGITS,
        gradient,
        { step: 1e-4, tolerance: 2e-3 },
      );
    });
  }

  it('weights the chosen pixels by their classes', () => {
    const classWeights = [0.5, 3, 0.1, 1.25];
    const { loss } = evaluate(LOGITS, { classWeights, ohem: { threshold: 0.3, minKept: 4 } });
    close(loss, weightedMean(hardest(LOGITS, 0.3, 4), classWeights), 'loss');
  });

  it('keeps a NaN in the loss, and takes no ignored pixel', () => {
    const logits = LOGITS.slice();
    logits[3] = Number.NaN;
    const labels = { ...LABELS, data: LABELS.data.slice() };
    labels.data[0] = 1;
    const ohem = { threshold: 0.4, minKept: 5 };
    assert.ok(Number.isNaN(evaluate(logits, { ohem }, labels).loss));
    const none = { ...LABELS, data: new Uint8Array(PIXELS).fill(IGNORE) };
    assert.equal(evaluate(LOGITS, { ohem }, none).loss, 0);
  });
});
