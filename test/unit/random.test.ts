import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawSeed64, drawsFor, type Purpose } from '../../src/random/draws.js';
import { philox4x32 } from '../../src/random/philox.js';

function words(counter: readonly number[], key: readonly number[]): string[] {
  const out = new Uint32Array(4);
  const [c0, c1, c2, c3] = counter;
  philox4x32(c0!, c1!, c2!, c3!, key[0]!, key[1]!, out);
  return [...out].map((word) => word.toString(16).padStart(8, '0'));
}

describe('philox4x32', () => {
  // The known answers that the authors publish with Random123 (kat_vectors, philox4x32 10).
  it('gives the published answers', () => {
    assert.deepEqual(words([0, 0, 0, 0], [0, 0]), ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
    const ones = 0xffffffff;
    assert.deepEqual(words([ones, ones, ones, ones], [ones, ones]), [
      '408f276d',
      '41c83b0e',
      'a20bc7c6',
      '6d5451fd',
    ]);
    assert.deepEqual(
      words([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
      ['d16cfe09', '94fdcceb', '5001e420', '24126ea1'],
    );
  });
});

function firstWords(seed: number, purpose: Purpose, ...indices: number[]): string {
  const draws = drawsFor(seed, purpose, ...indices);
  return Array.from({ length: 6 }, () => draws.uint32()).join(' ');
}

describe('drawsFor', () => {
  it('depends only on its arguments, not on the order or number of calls', () => {
    const alone = firstWords(5, 'order', 3, 9);
    const other = drawsFor(5, 'order', 3, 10);
    other.normal();
    const again = drawsFor(5, 'order', 3, 9);
    other.uint32();
    const words = Array.from({ length: 6 }, () => {
      other.integer(7);
      return again.uint32();
    });
    assert.equal(words.join(' '), alone);
  });

  it('gives another stream for every seed, purpose and list of indices', () => {
    const big = Number.MAX_SAFE_INTEGER;
    const streams = [
      firstWords(0, 'order'),
      firstWords(0, 'order', 0),
      firstWords(0, 'order', 0, 0),
      firstWords(0, 'order', 1),
      firstWords(0, 'order', 0, 1),
      firstWords(0, 'order', 1, 0),
      firstWords(0, 'order', 2 ** 32),
      firstWords(0, 'order', 0, 2 ** 32),
      firstWords(0, 'order', big, big),
      firstWords(0, 'init', 0, 0),
      firstWords(1, 'order', 0, 0),
      firstWords(2 ** 32, 'order', 0, 0),
      firstWords(big, 'order', 0, 0),
    ];
    assert.equal(new Set(streams).size, streams.length);
  });

  it('never changes, as that would change every published run', () => {
    assert.equal(drawSeed64(1, 'augmentation', 2, 3).toString(16), '88e37aad03479639');
  });

  it('names the argument that is wrong', () => {
    assert.throws(() => drawsFor(-1, 'test'), /seed: got -1/);
    assert.throws(() => drawsFor(0, 'test', 1.5), /indices\[0\]: got 1.5/);
    assert.throws(() => drawsFor(0, 'test', 0, 2 ** 53), /indices\[1\]/);
    assert.throws(() => drawsFor(0, 'test', 1, 2, 3), /at most 2/);
    assert.throws(() => drawsFor(0, 'lottery' as Purpose), /purpose: got lottery/);
    assert.throws(() => drawsFor(0, 'test').integer(0), /below: got 0/);
    assert.throws(() => drawsFor(0, 'test').permutation(3, 4), /take: got 4/);
  });
});

describe('distributions', () => {
  it('fillUniform is uniform, in range, and the same words as single draws', () => {
    const draws = drawsFor(7, 'test', 1);
    const first = draws.uint32();
    const out = new Float32Array(160_001);
    draws.fillUniform(out, -1, 3);
    const after = draws.uint32();
    const single = drawsFor(7, 'test', 1);
    assert.equal(single.uint32(), first);
    const bins = new Array<number>(16).fill(0);
    for (const value of out) {
      assert.equal(value, Math.fround(-1 + (single.uint32() >>> 8) * (4 / 2 ** 24)));
      bins[Math.floor((value + 1) * 4)]! += 1;
    }
    assert.equal(single.uint32(), after);
    // Chi-square of 15 degrees of freedom: above 37.7 once in a thousand streams.
    const expected = out.length / 16;
    const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    assert.ok(chiSquare < 37.7, `chi-square ${chiSquare}`);
  });

  it('normal has the moments of a normal distribution', () => {
    const out = new Float32Array(200_000);
    drawsFor(7, 'test', 2).fillNormal(out, 2, 3);
    const z = Float64Array.from(out, (value) => (value - 2) / 3);
    const moment = (power: number) => z.reduce((sum, v) => sum + v ** power, 0) / z.length;
    assert.ok(Math.abs(moment(1)) < 0.01, `mean ${moment(1)}`);
    assert.ok(Math.abs(moment(2) - 1) < 0.015, `variance ${moment(2)}`);
    assert.ok(Math.abs(moment(3)) < 0.04, `third moment ${moment(3)}`);
    assert.ok(Math.abs(moment(4) - 3) < 0.12, `fourth moment ${moment(4)}`);
    const neighbours = z.slice(1).reduce((sum, v, i) => sum + v * z[i]!, 0) / (z.length - 1);
    assert.ok(Math.abs(neighbours) < 0.01, String(neighbours));
  });

  it('integer covers its range evenly, also above 2^32', () => {
    const draws = drawsFor(7, 'test', 3);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) counts[draws.integer(6)]! += 1;
    for (const count of counts) assert.ok(Math.abs(count - 10_000) < 400, `${counts}`);
    // 3 · 2^30 would fall below 2^30 half the time if words were just taken modulo.
    let low = 0;
    for (let i = 0; i < 30_000; i++) low += draws.integer(3 * 2 ** 30) < 2 ** 30 ? 1 : 0;
    assert.ok(Math.abs(low - 10_000) < 400, `${low}`);
    let upper = 0;
    for (let i = 0; i < 10_000; i++) {
      const value = draws.integer(2 ** 40);
      assert.ok(Number.isInteger(value) && value < 2 ** 40, String(value));
      upper += value >= 2 ** 39 ? 1 : 0;
    }
    assert.ok(Math.abs(upper - 5000) < 250, `${upper}`);
  });
});

describe('permutation', () => {
  it('holds every number once', () => {
    const permutation = drawsFor(7, 'test', 4).permutation(1000);
    assert.deepEqual(
      [...permutation].sort((a, b) => a - b),
      Array.from({ length: 1000 }, (_, i) => i),
    );
    assert.deepEqual([...drawsFor(7, 'test', 4).permutation(0)], []);
  });

  it('gives the same prefix for any number taken, densely or sparsely', () => {
    const whole = drawsFor(7, 'test', 5).permutation(500);
    for (const take of [0, 1, 10, 62, 63, 499]) {
      const part = drawsFor(7, 'test', 5).permutation(500, take);
      assert.deepEqual(part, whole.slice(0, take), `take ${take}`);
    }
    const huge = drawsFor(7, 'test', 6).permutation(2 ** 31 - 1, 1000);
    assert.equal(new Set(huge).size, 1000);
  });

  it('makes all orders of three equally often', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 12_000; i++) {
      const key = drawsFor(7, 'test', 7, i).permutation(3).join('');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    assert.equal(counts.size, 6);
    for (const [key, count] of counts) assert.ok(Math.abs(count - 2000) < 200, `${key}: ${count}`);
  });
});
