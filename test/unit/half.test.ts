import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeHalf, encodeHalf, halfFromFloat } from '../../src/wire/half.js';

/** The definition of binary16, in double arithmetic. */
function valueOfHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) {
    return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  return exponent === 0
    ? sign * mantissa * 2 ** -24
    : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

test('known values, both ways', () => {
  const known: [number, number][] = [
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff], // largest
    [2 ** -14, 0x0400], // smallest normal
    [2 ** -24, 0x0001], // smallest denormal
    [1023 * 2 ** -24, 0x03ff], // largest denormal
    [Number.POSITIVE_INFINITY, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [1 / 3, 0x3555],
  ];
  for (const [value, half] of known) {
    assert.equal(halfFromFloat(value), half, `${value}`);
  }
  const [third, minusZero] = decodeHalf(Uint16Array.of(0x3555, 0x8000));
  assert.equal(third, 0.333251953125);
  assert.ok(Object.is(minusZero, -0), '0x8000 is not -0');
});

test('ties go to even, the rest to the nearest', () => {
  const ulp = 2 ** -10;
  const cases: [number, number][] = [
    [1 + ulp / 2, 0x3c00],
    [1 + (3 * ulp) / 2, 0x3c02],
    [1 + ulp / 2 + 2 ** -20, 0x3c01],
    [1 + ulp / 2 - 2 ** -20, 0x3c00],
    [2 - ulp / 2, 0x4000], // carries into the exponent
    [65519, 0x7bff],
    [65520, 0x7c00], // half way to 2^16: even is infinity
    [65536, 0x7c00],
    [3.4e38, 0x7c00],
    [2 ** -25, 0x0000], // half of the smallest denormal
    [2 ** -25 * 1.001, 0x0001],
    [3 * 2 ** -25, 0x0002],
    [2 ** -26 * 1.9, 0x0000],
    [1023.5 * 2 ** -24, 0x0400], // carries from denormal to normal
    [1e-45, 0x0000],
  ];
  for (const [value, half] of cases) {
    assert.equal(halfFromFloat(value), half, `${value}`);
    assert.equal(halfFromFloat(-value), half | 0x8000, `${-value}`);
  }
});

test('NaN keeps its sign and stays NaN, whatever its payload', () => {
  const floats = new Float32Array(new Uint32Array([0x7fc00000, 0xffc00000, 0x7f800001]).buffer);
  assert.deepEqual([...encodeHalf(floats)], [0x7e00, 0xfe00, 0x7e00]);
});

test('all 65536 halves: exact value as float, the same bits back', () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const floats = decodeHalf(halves);
  const back = encodeHalf(floats);
  for (let i = 0; i < 65536; i++) {
    const wanted = valueOfHalf(i);
    if (Number.isNaN(wanted)) {
      assert.ok(Number.isNaN(floats[i]), `half ${i}`);
      assert.equal(back[i], i | 0x0200, `half ${i}`);
    } else if (!Object.is(floats[i], wanted) || back[i] !== i) {
      assert.fail(`half ${i}: float ${floats[i]}, wanted ${wanted}; back ${back[i]}`);
    }
  }
});

test('midpoints between all neighbours round to the even one', () => {
  for (let half = 0; half < 0x7bff; half++) {
    const middle = (valueOfHalf(half) + valueOfHalf(half + 1)) / 2;
    assert.equal(halfFromFloat(middle), half % 2 === 0 ? half : half + 1, `above ${half}`);
  }
});
