/** KL divergences over the classes of positions: the addon's kernel and TensorFlow's ops beside plain loops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawsFor } from '../../src/random/draws.js';
import {
  composedKernels,
  float32,
  type Kernels,
  nativeKernels,
  readFloat32,
  scope,
} from '../../src/tensor/index.js';

const KERNELS: Record<string, Kernels['classKl']> = {
  kernel: nativeKernels.classKl,
  composed: composedKernels.classKl,
};
const OPTIONS = { inverseTemperature: 0.75, factor: 3 };

function computed(
  kernel: Kernels['classKl'],
  student: Float32Array,
  teacher: Float32Array,
  shape: readonly [number, number],
  options = OPTIONS,
) {
  return scope(() => {
    const logits = (values: Float32Array) => float32(values.slice(), shape);
    const { kl_P, gradient_PK } = kernel(logits(student), logits(teacher), options);
    assert.deepEqual(gradient_PK.shape, shape);
    assert.deepEqual(kl_P.shape, [shape[0]]);
    return { kl: readFloat32(kl_P), gradient: readFloat32(gradient_PK) };
  });
}

/** Logarithms of a position's probabilities, in double precision. */
function logs(logits: Float32Array): number[] {
  const scaled = Array.from(logits, (x) => x * OPTIONS.inverseTemperature);
  const largest = Math.max(...scaled);
  const sum = scaled.reduce((total, x) => total + Math.exp(x - largest), 0);
  return scaled.map((x) => x - largest - Math.log(sum));
}

for (const [name, kernel] of Object.entries(KERNELS)) {
  test(`${name}: loss and gradient, at sizes that aren't multiples of vectors`, () => {
    for (const [positions, classes, size] of [
      [1, 1, 5],
      [3, 2, 60],
      [37, 19, 8],
      [5000, 21, 30],
    ] as const) {
      const values = (stream: number) => {
        const data = new Float32Array(positions * classes);
        drawsFor(29, 'test', stream).fillUniform(data, -size, size);
        return data;
      };
      const [student, teacher] = [values(1), values(2)];
      const { kl, gradient } = computed(kernel, student, teacher, [positions, classes]);
      for (let at = 0; at < positions; at++) {
        const own = [at * classes, (at + 1) * classes] as const;
        const [q, p] = [logs(student.subarray(...own)), logs(teacher.subarray(...own))];
        const wanted = p.reduce((sum, value, k) => sum + Math.exp(value) * (value - q[k]!), 0);
        assert.ok(Math.abs(kl[at]! - wanted) < 1e-6 * (2 + size), `kl: ${kl[at]}, ${wanted}`);
        for (let k = 0; k < classes; k++) {
          const slope = OPTIONS.factor * (Math.exp(q[k]!) - Math.exp(p[k]!));
          assert.ok(
            Math.abs(gradient[own[0] + k]! - slope) < 1e-7 * (20 + 20 * size),
            `gradient: ${slope}`,
          );
        }
      }
    }
  });
}

test('kernel: exp to float32 precision from the largest logit to the smallest normal number', () => {
  const values = Float32Array.from({ length: 871 }, (_, i) => i / 10 - 87);
  // Of two classes; the teacher's first has no share, so the gradient is the student's: e^x / (1 + e^x).
  const student = Float32Array.from([...values].flatMap((value) => [value, 0]));
  const teacher = Float32Array.from([...values].flatMap(() => [-1000, 0]));
  const options = { inverseTemperature: 1, factor: 1 };
  const shape = [values.length, 2] as const;
  const { gradient } = computed(nativeKernels.classKl, student, teacher, shape, options);
  for (const [i, value] of values.entries()) {
    const wanted = Math.exp(value) / (1 + Math.exp(value));
    const off = Math.abs(gradient[2 * i]! / wanted - 1);
    assert.ok(off < 4e-7, `exp(${value}): ${gradient[2 * i]}, wanted ${wanted}`);
  }
});

test('kernel: NaN stays with its position', () => {
  const [student, teacher] = [new Float32Array(60).fill(1), new Float32Array(60).fill(2)];
  student[31] = Number.NaN;
  const { kl, gradient } = computed(nativeKernels.classKl, student, teacher, [20, 3]);
  assert.deepEqual(
    [...kl].map(Number.isNaN),
    Array.from({ length: 20 }, (_, i) => i === 10),
  );
  assert.deepEqual(
    [...gradient].map(Number.isNaN),
    Array.from({ length: 60 }, (_, i) => i >= 30 && i < 33),
  );
});

test('kernel: refuses logits of another shape', () => {
  scope(() => {
    const [a, b] = [float32(new Float32Array(6), [2, 3]), float32(new Float32Array(6), [3, 2])];
    assert.throws(
      () => nativeKernels.classKl(a, b, OPTIONS),
      /teacher: another shape than student/,
    );
  });
});
