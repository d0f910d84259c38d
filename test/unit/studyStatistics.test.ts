/**
 * The study's statistics against scipy 1.17.1: stats.t.sf and ppf, stats.ttest_rel with confidence_interval, and
 * stats.permutation_test with permutation_type='samples' and n_resamples=inf, printed with repr.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pairedTest, spreadOf } from '../../src/report/study/pairedTest.js';
import { tBound, twoSidedP } from '../../src/report/study/tDistribution.js';

function assertNear(got: number | null | undefined, wanted: number, tolerance = 1e-12): void {
  const distance = Math.abs((got ?? Number.NaN) - wanted) / Math.abs(wanted);
  assert.ok(distance <= tolerance, `got ${got}, wanted ${wanted}`);
}

test("two-sided p of the t distribution is scipy's 2 * t.sf(t, df)", () => {
  const known: [number, number, number][] = [
    [0.5, 1, 0.7048327646991335],
    [2.5, 1, 0.24223788318168682],
    [12.7, 1, 0.050024327689344165],
    [1, 2, 0.4226497308103742],
    [2.5, 3, 0.08770664700806556],
    [2.776445105197793, 4, 0.05000000000000008],
    [9.57, 4, 0.0006660909497852996],
    [3.1, 7, 0.017322289425497513],
    [0.1, 10, 0.9223207185644082],
    [2, 30, 0.054625044962983094],
    [1.98, 101, 0.050424291623969233],
  ];
  for (const [t, freedom, p] of known) {
    assertNear(twoSidedP(t, freedom), p);
    assert.equal(twoSidedP(-t, freedom), twoSidedP(t, freedom));
  }
  assert.equal(twoSidedP(0, 5), 1);
  assert.equal(twoSidedP(Number.POSITIVE_INFINITY, 3), 0);
  assert.throws(() => twoSidedP(1, 2.5), /freedom: got 2.5, wanted an integer/);
});

test("the bound of a 95 % interval is scipy's t.ppf(0.975, df)", () => {
  const known: [number, number][] = [
    [1, 12.706204736174694],
    [2, 4.302652729749462],
    [3, 3.1824463052837078],
    [4, 2.7764451051977934],
    [5, 2.5705818356363146],
    [9, 2.262157162798205],
    [19, 2.0930240544083087],
    [30, 2.0422724563012378],
    [100, 1.9839715185235518],
    [999, 1.9623414611334493],
  ];
  for (const [freedom, bound] of known) assertNear(tBound(0.95, freedom), bound);
});

/** Seed by seed, a - b. */
function compared(a: readonly number[], b: readonly number[]) {
  return pairedTest(a.map((value, i) => value - b[i]!))!;
}

test("the paired test of the streets' study: CIRKD against labels alone, five seeds", () => {
  const labels = [28.62, 29.19, 28.66, 28.52, 28.89];
  const { n, mean, deviation, interval, p, signFlipP } = compared(
    [30.14, 30.39, 30.78, 30.14, 30.17],
    labels,
  );
  assert.equal(n, 5);
  assertNear(mean, 1.548);
  assertNear(deviation, 0.3626568626125808);
  assertNear(interval?.[0], 1.0977020299924303);
  assertNear(interval?.[1], 1.9982979700075707);
  assertNear(p, 0.0006729451614822339, 1e-10);
  // All differences above 0: two of the 32 ways to give them signs.
  assert.equal(signFlipP, 0.0625);
});

test('the paired tests of the CamVid study, four seeds', () => {
  const labels = [33.13, 34.17, 34.49, 33.97];
  const cirkd = compared([33.59, 35.12, 34.85, 34.03], labels);
  assertNear(cirkd.p, 0.08967748950767354);
  assertNear(cirkd.interval?.[0], -0.13080441642359686, 1e-11);
  assertNear(cirkd.interval?.[1], 1.045804416423596);
  const minibatch = compared([33.6, 35.08, 34.49, 34.63], labels);
  assertNear(minibatch.p, 0.07694334698761908);
  // One difference is 0, whichever sign it gets.
  assert.equal(minibatch.signFlipP, 0.25);
});

test('differences of both signs', () => {
  const { p, interval, signFlipP } = compared(
    [1.2, 3.4, 0.5, 2.2, 2.9, 1.1],
    [1.0, 2.9, 0.8, 1.5, 3.3, 0.6],
  );
  assertNear(p, 0.33182682121419566);
  assertNear(interval?.[0], -0.27861629073303584, 1e-11);
  assertNear(interval?.[1], 0.678616290733036);
  assert.equal(signFlipP, 0.375);
});

test('too few pairs, equal pairs, and more than can be flipped through', () => {
  assert.equal(pairedTest([]), null);
  assert.equal(spreadOf([]), null);
  assert.deepEqual(pairedTest([0.5]), {
    ...{ n: 1, mean: 0.5, deviation: null },
    ...{ interval: null, p: null, signFlipP: null },
  });
  const nothing = pairedTest([0, 0, 0])!;
  assert.deepEqual([nothing.p, nothing.signFlipP, nothing.interval], [null, 1, [0, 0]]);
  assert.equal(pairedTest([0.5, 0.5])!.p, 0);
  const many = pairedTest(Array.from({ length: 17 }, (_, i) => i - 7))!;
  assert.equal(many.signFlipP, null);
  assert.ok(many.p! > 0.3 && many.p! < 1, String(many.p));
  const sixteen = pairedTest(Array.from({ length: 16 }, (_, i) => i + 1))!;
  assert.equal(sixteen.signFlipP, 2 / 2 ** 16);
});
