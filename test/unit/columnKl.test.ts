/** KL divergences over the positions of channels: the addon's kernel and TensorFlow's ops beside plain loops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawsFor } from '../../src/random/draws.js';
import {
  composedKernels,
  float32,
  type Kernels,
  nativeKernels,
  numTensors,
  readFloat32,
  scope,
} from '../../src/tensor/index.js';

const KERNELS: Record<string, Kernels['columnKl']> = {
  kernel: nativeKernels.columnKl,
  composed: composedKernels.columnKl,
};

type Shape = readonly [images: number, positions: number, channels: number];

interface Maps {
  readonly shape: Shape;
  readonly student: Float32Array;
  readonly teacher: Float32Array;
}

const OPTIONS = { inverseTemperature: 0.75, factor: 3, tileChannels: 9 };

function maps(shape: Shape, size: number): Maps {
  const values = (stream: number) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    drawsFor(23, 'test', stream).fillUniform(data, -size, size);
    return data;
  };
  return { shape, student: values(1), teacher: values(2) };
}

function computed(kernel: Kernels['columnKl'], { shape, student, teacher }: Maps) {
  return scope(() => {
    const map = (values: Float32Array) => float32(values.slice(), shape);
    const { kl_NC, gradient_NPC } = kernel(map(student), map(teacher), OPTIONS);
    assert.deepEqual(gradient_NPC.shape, shape);
    assert.deepEqual(kl_NC.shape, [shape[0], shape[2]]);
    return { kl: readFloat32(kl_NC), gradient: readFloat32(gradient_NPC) };
  });
}

/** In double precision, from the definition. */
function plain({ shape: [images, positions, channels], student, teacher }: Maps) {
  const kl = new Float64Array(images * channels);
  const gradient = new Float64Array(student.length);
  for (let column = 0; column < images * channels; column++) {
    const [image, channel] = [Math.floor(column / channels), column % channels];
    const places = Array.from(
      { length: positions },
      (_, p) => (image * positions + p) * channels + channel,
    );
    const logs = (map: Float32Array) => {
      const scaled = places.map((at) => map[at]! * OPTIONS.inverseTemperature);
      const largest = Math.max(...scaled);
      const sum = scaled.reduce((total, x) => total + Math.exp(x - largest), 0);
      return scaled.map((x) => x - largest - Math.log(sum));
    };
    const [q, p] = [logs(student), logs(teacher)];
    for (const [i, at] of places.entries()) {
      kl[column]! += Math.exp(p[i]!) * (p[i]! - q[i]!);
      gradient[at] = OPTIONS.factor * (Math.exp(q[i]!) - Math.exp(p[i]!));
    }
  }
  return { kl, gradient };
}

function assertNear(got: Float32Array, wanted: Float64Array, allowed: number, what: string): void {
  for (const [i, value] of got.entries()) {
    assert.ok(Math.abs(value - wanted[i]!) <= allowed, `${what}[${i}]: ${value}, ${wanted[i]}`);
  }
}

/** Strips of 64 channels and blocks of 128 positions: whole ones, a rest, and neither. */
const SHAPES: readonly Shape[] = [
  [2, 300, 70],
  [3, 128, 64],
  [1, 257, 3],
  [2, 1, 5],
];

for (const [name, kernel] of Object.entries(KERNELS)) {
  test(`${name}: KL and gradient are those of plain loops`, () => {
    for (const shape of SHAPES) {
      // With 400, the smaller exponentials are 0 and the larger ones overflow unless shifted.
      for (const size of [1, 400]) {
        const inputs = maps(shape, size);
        const [got, wanted] = [computed(kernel, inputs), plain(inputs)];
        const largest = Math.max(1, ...wanted.kl);
        assertNear(got.kl, wanted.kl, 2e-5 * largest, `${shape} ${size} kl`);
        assertNear(got.gradient, wanted.gradient, 4e-5, `${shape} ${size} gradient`);
      }
    }
  });

  test(`${name}: 0 for equal maps, however they are shifted; NaN is shown; no tensor is left`, () => {
    const before = numTensors();
    const inputs = maps([2, 40, 6], 2);
    const shifted = { ...inputs, student: inputs.teacher.map((value) => value + 64) };
    const { kl, gradient } = computed(kernel, shifted);
    assert.ok(
      kl.every((value) => Math.abs(value) < 1e-5),
      `${kl}`,
    );
    assert.ok(
      gradient.every((value) => Math.abs(value) < 1e-5),
      `${gradient}`,
    );
    const student = inputs.student.slice();
    student[6 * 7 + 2] = Number.NaN;
    const broken = computed(kernel, { ...inputs, student }).kl;
    assert.deepEqual(
      [...broken].map(Number.isNaN),
      [...broken].map((_, column) => column === 2),
    );
    assert.equal(numTensors(), before);
  });
}

test('the kernel names an input of another shape', () => {
  const run = (student: Shape, teacher: Shape) =>
    scope(() => {
      const zeros = (shape: Shape) =>
        float32(new Float32Array(shape.reduce((a, b) => a * b)), shape);
      return nativeKernels.columnKl(zeros(student), zeros(teacher), OPTIONS).kl_NC.size;
    });
  assert.throws(() => run([1, 4, 3], [1, 4, 2]), /teacher: another shape than student/);
});
