/** The mini-batch loss at the size of a real feature map, in float32 tiles, against double precision. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pairwiseKl } from '../../src/losses/pairwiseKl.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, readFloat32, scope } from '../../src/tensor/index.js';

/** 64 x 128 positions. */
const [ROWS, STUDENT, TEACHER, TEMPERATURE] = [8192, 4, 6, 0.1];

function unitRows(channels: number, stream: number): Float32Array {
  const values = new Float32Array(ROWS * channels);
  drawsFor(14, 'test', stream).fillNormal(values, 0, 1);
  for (let row = 0; row < ROWS; row++) {
    const own = values.subarray(row * channels, (row + 1) * channels);
    const norm = Math.hypot(...own);
    own.forEach((value, i) => {
      own[i] = value / norm;
    });
  }
  return values;
}

function similarity(rows: Float32Array, channels: number, a: number, b: number): number {
  let dot = 0;
  for (let c = 0; c < channels; c++) dot += rows[a * channels + c]! * rows[b * channels + c]!;
  return dot / TEMPERATURE;
}

/** Everything in double precision: the sum of the rows' KL, and each row's normalisers. */
function reference(student: Float32Array, teacher: Float32Array) {
  const [studentSums, teacherSums] = [new Float64Array(ROWS), new Float64Array(ROWS)];
  let kl = 0;
  for (let r = 0; r < ROWS; r++) {
    let [zs, zt, cross] = [0, 0, 0];
    for (let s = 0; s < ROWS; s++) {
      const [own, wanted] = [
        similarity(student, STUDENT, r, s),
        similarity(teacher, TEACHER, r, s),
      ];
      const e = Math.exp(wanted);
      zs += Math.exp(own);
      zt += e;
      cross += e * (wanted - own);
    }
    studentSums[r] = zs;
    teacherSums[r] = zt;
    kl += cross / zt + Math.log(zs) - Math.log(zt);
  }
  return { kl, studentSums, teacherSums };
}

it('pairwiseKl at 64 x 128 is what double precision gives, in loss and gradient', () => {
  const [student, teacher] = [unitRows(STUDENT, 1), unitRows(TEACHER, 2)];
  const { kl, studentSums, teacherSums } = reference(student, teacher);
  const { loss, gradient } = scope(() => {
    const result = pairwiseKl({
      student_PC: float32(student.slice(), [ROWS, STUDENT]),
      teacher_PD: float32(teacher.slice(), [ROWS, TEACHER]),
      ...{ images: 1, temperature: TEMPERATURE, scale: 1 / ROWS },
      tiling: { lossMemoryMiB: 64 },
    });
    return { loss: result.loss, gradient: readFloat32(result.gradient_PC) };
  });
  assert.ok(Math.abs((loss * ROWS) / kl - 1) < 1e-6, `loss ${loss}, wanted ${kl / ROWS}`);
  const largest = gradient.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  for (const r of [0, 1, 2047, 4096, 8191]) {
    const wanted = new Float64Array(STUDENT);
    for (let s = 0; s < ROWS; s++) {
      const q = Math.exp(similarity(student, STUDENT, r, s));
      const p = Math.exp(similarity(teacher, TEACHER, r, s));
      const both = (sums: Float64Array) => 1 / sums[r]! + 1 / sums[s]!;
      const h = (q * both(studentSums) - p * both(teacherSums)) / (TEMPERATURE * ROWS);
      for (let c = 0; c < STUDENT; c++) wanted[c]! += h * student[s * STUDENT + c]!;
    }
    for (const [c, value] of wanted.entries()) {
      const off = Math.abs(gradient[r * STUDENT + c]! - value) / largest;
      assert.ok(off < 1e-5, `row ${r}, channel ${c}: off by ${off} of the largest`);
    }
  }
});
