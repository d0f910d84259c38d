import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { averagePool, averagePoolGrad } from '../../src/losses/averagePool.js';
import { logitsKd } from '../../src/losses/logitsKd.js';
import { memoryContrast } from '../../src/losses/memoryContrast.js';
import { type MinibatchPixelOptions, minibatchPixel } from '../../src/losses/minibatchPixel.js';
import { type LabelMaps, nearestLabels } from '../../src/losses/nearestLabels.js';
import { unitRows, unitRowsGrad } from '../../src/losses/normalize.js';
import { type TaskCeOptions, taskCe } from '../../src/losses/taskCe.js';
import { drawsFor } from '../../src/random/draws.js';
import {
  float32,
  numTensors,
  ops,
  readFloat32,
  scope,
  type Tensor,
} from '../../src/tensor/index.js';
import { assertLossGradient } from '../support/numerics/lossGradient.js';

const WHOLE = { lossMemoryMiB: 64 };
const uniform = (length: number, stream: number) => {
  const values = new Float32Array(length);
  drawsFor(7, 'test', stream).fillUniform(values, -1, 1);
  return values;
};
/** Copies the array, because the addon may keep using the one it was given. */
const tensor = (values: Float32Array, shape: readonly number[]) => float32(values.slice(), shape);

function teacher(values: Float32Array, shape: readonly [number, number, number, number]) {
  const { embedding_PC, norm_P1 } = unitRows(tensor(values, [values.length / shape[3], shape[3]]));
  return {
    embedding_NHWD: ops.reshape(embedding_PC, shape),
    norm_NHW: ops.reshape(norm_P1, shape.slice(0, 3)),
  };
}

describe('unit rows', () => {
  it('leave zero vectors zero, with the gradient of the constant divisor', () => {
    scope(() => {
      const rows = unitRows(float32(Float32Array.of(3, 4, 0, 0), [2, 2]));
      assert.deepEqual(
        [...readFloat32(rows.embedding_PC)],
        [Math.fround(0.6), Math.fround(0.8), 0, 0],
      );
      const dx = readFloat32(unitRowsGrad(float32(Float32Array.of(1, 0, 1, 2), [2, 2]), rows));
      // Row 0: (dy - 0.6 e) / 5 = (0.64, -0.48) / 5. Row 1: dy / 1e-12.
      const wanted = [0.128, -0.096, 1e12, 2e12];
      for (const [i, value] of wanted.entries())
        assert.ok(Math.abs(dx[i]! / value - 1) < 1e-5, `${dx[i]! / value}, wanted 1`);
    });
  });

  it('have the gradient of the quotient', () => {
    const x = uniform(12, 1);
    const weights = uniform(12, 2);
    const lossAt = (values: Float32Array) =>
      scope(() => {
        const y = readFloat32(unitRows(tensor(values, [4, 3])).embedding_PC);
        return y.reduce((sum, value, i) => sum + value * weights[i]!, 0);
      });
    const gradient = scope(() =>
      readFloat32(unitRowsGrad(tensor(weights, [4, 3]), unitRows(tensor(x, [4, 3])))),
    );
    assertLossGradient(lossAt, x, gradient, { step: 1e-3, tolerance: 5e-3 });
  });
});

describe('minibatchPixel', () => {
  const options: MinibatchPixelOptions = {
    temperature: 0.5,
    minibatchGroup: 0,
    minibatchPooling: 'auto',
    tiling: WHOLE,
  };
  const student = uniform(4 * 2 * 3 * 3, 3);
  const teacherValues = uniform(4 * 2 * 3 * 5, 4);
  const run = (values: Float32Array, changed: Partial<MinibatchPixelOptions> = {}) =>
    scope(() => {
      const result = minibatchPixel(
        tensor(values, [4, 2, 3, 3]),
        teacher(teacherValues, [4, 2, 3, 5]),
        {
          ...options,
          ...changed,
        },
      );
      return { loss: result.loss, gradient: readFloat32(result.gradient_NHWC) };
    });

  it('has the gradient of its loss, for the whole batch and for groups', () => {
    for (const minibatchGroup of [0, 2, 1]) {
      const lossAt = (x: Float32Array) => run(x, { minibatchGroup }).loss;
      assertLossGradient(lossAt, student, run(student, { minibatchGroup }).gradient);
    }
  });

  it("is the mean of the rows' KLs over pairs of images", () => {
    const unit = (values: Float32Array, channels: number) =>
      Array.from({ length: 24 }, (_, p) => {
        const row = [...values.subarray(p * channels, (p + 1) * channels)];
        const norm = Math.hypot(...row);
        return row.map((value) => value / norm);
      });
    const [s, t] = [unit(student, 3), unit(teacherValues, 5)];
    const logSoftmax = (rows: number[][], p: number, j: number) => {
      const dots = Array.from({ length: 6 }, (_, q) =>
        rows[p]!.reduce((sum, value, c) => sum + value * rows[6 * j + q]![c]!, 0),
      );
      const logSum = Math.log(dots.reduce((sum, dot) => sum + Math.exp(dot / 0.5), 0));
      return dots.map((dot) => dot / 0.5 - logSum);
    };
    let wanted = 0;
    for (let p = 0; p < 24; p++) {
      for (let j = 0; j < 4; j++) {
        const [logP, logQ] = [logSoftmax(t, p, j), logSoftmax(s, p, j)];
        logP.forEach((value, q) => {
          wanted += (Math.exp(value) * (value - logQ[q]!)) / (16 * 6);
        });
      }
    }
    assert.ok(Math.abs(run(student).loss - wanted) < 1e-6, `${run(student).loss}, ${wanted}`);
  });

  it('gives the same in tiles of any size', () => {
    const whole = run(student);
    for (const tileRows of [1, 7, 24]) {
      const tiled = run(student, { tiling: { ...WHOLE, tileRows } });
      assert.ok(Math.abs(tiled.loss - whole.loss) < 1e-6, `${tiled.loss}, wanted ${whole.loss}`);
      for (const [i, value] of tiled.gradient.entries()) {
        assert.ok(
          Math.abs(value - whole.gradient[i]!) < 1e-6,
          `${value}, wanted ${whole.gradient[i]!}`,
        );
      }
    }
  });

  it('refuses groups that do not divide the batch', () => {
    assert.throws(() => run(student, { minibatchGroup: 3 }), /minibatchGroup: 3 .* 4 images/);
  });

  it('stays finite with zero vectors, and shows NaN', () => {
    const zeros = student.slice();
    zeros.fill(0, 0, 3);
    const { loss, gradient } = run(zeros);
    assert.ok(
      Number.isFinite(loss) && gradient.every(Number.isFinite),
      `loss ${loss}, gradient ${gradient}`,
    );
    const broken = student.slice();
    broken[4] = Number.NaN;
    assert.ok(Number.isNaN(run(broken).loss), 'the loss hides a NaN');
  });

  it('gives loss and gradient 0 for a single pixel', () => {
    const { loss, gradient_NHWC } = scope(() => {
      const one = minibatchPixel(
        tensor(uniform(3, 5), [1, 1, 1, 3]),
        teacher(uniform(2, 6), [1, 1, 1, 2]),
        options,
      );
      return { loss: one.loss, gradient_NHWC: readFloat32(one.gradient_NHWC) };
    });
    assert.ok(Math.abs(loss) < 1e-6, String(loss));
    assert.ok(
      gradient_NHWC.every((value) => Math.abs(value) < 1e-6),
      `gradient ${gradient_NHWC}`,
    );
  });

  it('leaves no tensor behind', () => {
    run(student);
    const before = numTensors();
    for (let i = 0; i < 20; i++) run(student, { tiling: { ...WHOLE, tileRows: 5 } });
    assert.equal(numTensors(), before);
  });
});

describe('averagePool', () => {
  it('averages incomplete windows over their elements, up to a common factor', () => {
    scope(() => {
      const ones = tensor(new Float32Array(5 * 6).fill(1), [1, 5, 6, 1]);
      assert.deepEqual([...readFloat32(averagePool(ones))], [1, 0.5, 0.25, 0.125]);
    });
  });

  it('has the transpose of the pooling as its gradient', () => {
    scope(() => {
      const x = uniform(2 * 5 * 6 * 2, 8);
      const y = uniform(2 * 2 * 2 * 2, 9);
      const dot = (a: Tensor, b: Float32Array) =>
        readFloat32(a).reduce((sum, value, i) => sum + value * b[i]!, 0);
      const forward = dot(averagePool(tensor(x, [2, 5, 6, 2])), y);
      const backward = dot(averagePoolGrad(tensor(y, [2, 2, 2, 2]), [2, 5, 6, 2]), x);
      assert.ok(Math.abs(forward - backward) < 1e-5, `${forward}, wanted ${backward}`);
    });
  });
});

describe('memoryContrast', () => {
  const options = { contrastTemperature: 0.4, contrastKdTemperature: 2, tiling: WHOLE };
  const [student, teacherRows, bank] = [uniform(5 * 4, 10), uniform(5 * 4, 11), uniform(9 * 4, 12)];
  const run = (values: Float32Array, bankRows: Float32Array) =>
    scope(() => {
      const rows = (x: Float32Array) => tensor(x, [x.length / 4, 4]);
      const result = memoryContrast(rows(values), rows(teacherRows), rows(bankRows), options);
      return { loss: result.loss, gradient: readFloat32(result.gradient_PD) };
    });

  it('has the gradient of its loss', () => {
    const lossAt = (x: Float32Array) => run(x, bank).loss;
    assertLossGradient(lossAt, student, run(student, bank).gradient);
  });

  it('is 0 with one bank row and with none', () => {
    for (const rows of [bank.slice(0, 4), new Float32Array(0)]) {
      const { loss, gradient } = run(student, rows);
      assert.ok(Math.abs(loss) < 1e-6, String(loss));
      assert.ok(
        gradient.length === 20 && gradient.every((value) => Math.abs(value) < 1e-6),
        `gradient ${gradient}`,
      );
    }
  });
});

describe('logitsKd', () => {
  it('has the gradient of its loss and is 0 for equal logits', () => {
    const [student, teacherLogits] = [uniform(2 * 3 * 4, 13), uniform(2 * 3 * 4, 14)];
    const run = (values: Float32Array) =>
      scope(() => {
        const shape = [1, 2, 3, 4];
        const result = logitsKd(tensor(values, shape), tensor(teacherLogits, shape), 2);
        return { loss: result.loss, gradient: readFloat32(result.gradient_NHWK) };
      });
    assertLossGradient((x) => run(x).loss, student, run(student).gradient);
    assert.ok(Math.abs(run(teacherLogits).loss) < 1e-6, 'the loss of equal logits is not 0');
  });
});

describe('taskCe', () => {
  const labels: LabelMaps = {
    data: Uint8Array.from({ length: 2 * 5 * 7 }, (_, i) => (i % 4 === 3 ? 255 : i % 3)),
    images: 2,
    height: 5,
    width: 7,
  };
  const logits = uniform(2 * 3 * 4 * 3, 15);
  const run = (values: Float32Array, maps = labels, changed: Partial<TaskCeOptions> = {}) =>
    scope(() => {
      const options = { ignoreLabel: 255, alignCorners: true, ...changed };
      const result = taskCe(tensor(values, [2, 3, 4, 3]), maps, options);
      return { loss: result.loss, gradient: readFloat32(result.gradient_NhwK) };
    });

  it('has the gradient of its loss, with and without aligned corners', () => {
    const losses = [true, false].map((alignCorners) => {
      const of = (x: Float32Array) => run(x, labels, { alignCorners });
      assertLossGradient((x) => of(x).loss, logits, of(logits).gradient);
      return of(logits).loss;
    });
    assert.ok(Math.abs(losses[0]! - losses[1]!) > 1e-3, `both rules give ${losses}`);
  });

  it('is 0, or NaN if requested, when all pixels are ignored', () => {
    const ignored = { ...labels, data: new Uint8Array(70).fill(255) };
    assert.equal(run(logits, ignored).loss, 0);
    assert.ok(
      run(logits, ignored).gradient.every((value) => value === 0),
      'ignored pixels have a gradient',
    );
    assert.ok(
      Number.isNaN(run(logits, ignored, { allIgnored: 'nan' }).loss),
      'the mean of no pixel is not NaN',
    );
  });

  it('gives each labelled pixel the same weight, with one image ignored', () => {
    const half = { ...labels, data: labels.data.slice().fill(255, 35) };
    const { gradient } = run(logits, half);
    assert.ok(
      gradient.subarray(36).every((value) => value === 0),
      `gradient ${gradient}`,
    );
    // Equal logits everywhere: the loss is log 3 for any labels.
    assert.ok(
      Math.abs(run(new Float32Array(72), half).loss - Math.log(3)) < 1e-6,
      'the loss of equal chances is not log 3',
    );
  });

  it("refuses labels that aren't classes", () => {
    const wrong = { ...labels, data: labels.data.slice().fill(3, 10, 11) };
    assert.throws(() => run(logits, wrong), /labels: 3 given at 10, wanted 0 to 2 or 255/);
  });
});

describe('nearestLabels', () => {
  it('follows float32 where it differs from exact arithmetic', () => {
    const row = {
      data: Uint8Array.from({ length: 62 }, (_, i) => i),
      images: 1,
      height: 1,
      width: 62,
    };
    const got = nearestLabels(row, 1, 14).data;
    // 7 * 62 / 14 is 31 exactly, and slightly less in float32.
    assert.equal(got[7], 30);
    assert.equal(got[13], Math.floor((13 * 62) / 14));
  });
});
