/** The two ways to skd_pairwise's distance: by tiles of similarities, and by products of channels. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gramDistance } from '../../src/losses/compared/gramDistance.js';
import { similarityDistance } from '../../src/losses/compared/similarityDistance.js';
import { cheaperDistance } from '../../src/losses/compared/skdPairwise.js';
import { float32, readFloat32, scope } from '../../src/tensor/index.js';
import { uniform } from '../support/numerics/comparedLosses.js';
import { assertLossGradient } from '../support/numerics/lossGradient.js';

const WHOLE = { lossMemoryMiB: 64 };

describe('skd_pairwise by tiles of similarities and by products of channels', () => {
  const DISTANCES = { similarityDistance, gramDistance };
  const [rows, own, other] = [37, 6, 9];
  const teacher = unitValues(rows, other, 32);
  const computed = (name: keyof typeof DISTANCES, student: Float32Array, tileRows?: number) =>
    scope(() => {
      const { squares, gradient_MC } = DISTANCES[name](
        float32(student.slice(), [rows, own]),
        float32(teacher.slice(), [rows, other]),
        { ...WHOLE, tileRows },
      );
      return { squares, gradient: readFloat32(gradient_MC) };
    });
  const student = unitValues(rows, own, 31);

  for (const name of ['similarityDistance', 'gramDistance'] as const) {
    it(`${name}: value and gradient from the definition, in tiles of any size`, () => {
      const wanted = plainDistance(student, teacher, rows);
      for (const tileRows of [undefined, 1, 5, 36, 100]) {
        const { squares, gradient } = computed(name, student, tileRows);
        const off = Math.abs(squares - wanted.squares);
        assert.ok(off < 1e-5 * wanted.squares, `${tileRows}: ${squares}, ${wanted.squares}`);
        const allowed = 1e-5 * Math.max(...wanted.gradient.map(Math.abs));
        for (const [i, value] of gradient.entries()) {
          const right = wanted.gradient[i]!;
          assert.ok(Math.abs(value - right) < allowed, `${tileRows}, ${i}: ${value}, ${right}`);
        }
      }
    });

    it(`${name}: the gradient is that of finite differences`, () => {
      const { gradient } = computed(name, student);
      const lossAt = (x: Float32Array) => computed(name, x).squares;
      assertLossGradient(lossAt, student, gradient, { step: 1e-3, tolerance: 5e-3 });
    });
  }

  it('takes the cheaper of the two', () => {
    // Pooled maps of 32x64, 64x128 and 128x256.
    const chosen = [512, 2048, 8192].map((positions) => cheaperDistance(positions, 128, 512).name);
    assert.deepEqual(chosen, ['similarityDistance', 'similarityDistance', 'gramDistance']);
  });
});

function unitValues(rows: number, channels: number, stream: number): Float32Array {
  const values = uniform(rows * channels, stream);
  return values.map((value, i) => {
    const begin = i - (i % channels);
    return value / Math.hypot(...values.subarray(begin, begin + channels));
  });
}

/** |S S' - T T'|^2 and 4 (S S' - T T') S, in double precision. */
function plainDistance(student: Float32Array, teacher: Float32Array, rows: number) {
  const cosine = (x: Float32Array, a: number, b: number) => {
    const channels = x.length / rows;
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += x[a * channels + c]! * x[b * channels + c]!;
    return sum;
  };
  const channels = student.length / rows;
  const gradient = Array.from({ length: student.length }, () => 0);
  let squares = 0;
  for (let a = 0; a < rows; a++) {
    for (let b = 0; b < rows; b++) {
      const difference = cosine(student, a, b) - cosine(teacher, a, b);
      squares += difference ** 2;
      for (let c = 0; c < channels; c++) {
        gradient[a * channels + c]! += 4 * difference * student[b * channels + c]!;
      }
    }
  }
  return { squares, gradient };
}
