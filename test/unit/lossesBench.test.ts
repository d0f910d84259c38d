/** The losses' bench: what it counts, in which order it measures, when it refuses numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Forecast } from '../../bench/losses/forecast.js';
import { compare, LOSSES_PAGE } from '../../bench/losses/page.js';
import {
  allPoints,
  COMPARED_LOSSES,
  comparedPoints,
  isCompared,
  listPoints,
  necessaryProducts,
  type Point,
  pointName,
  QUICK,
  total,
  unfitReason,
} from '../../bench/losses/points.js';
import { assertAgreement, type Measured } from '../../bench/losses/sideReport.js';
import { WEIGHTED_TERMS } from '../../src/contract/terms.js';

const GOAL: Point = {
  loss: 'minibatch',
  images: 2,
  height: 64,
  width: 128,
  channels: { student: 128, teacher: 512 },
};

const measured: Measured = {
  ms: [3, 1, 2],
  loss: 0.25,
  gradientNorm: 2,
  gradientSamples: [1, -0.5, 0],
  flopPerSecond: { student: 1, teacher: 1, gradient: 1 },
};

test('the necessary products are N^2 (2 C + D), and 3 P M D of the memory losses', () => {
  const rows = 2 * 64 * 128;
  assert.equal(total(necessaryProducts(GOAL)), rows ** 2 * (2 * 128 + 512));
  const memory: Point = { ...GOAL, loss: 'memory', channels: { student: 512, teacher: 512 } };
  assert.equal(total(necessaryProducts(memory)), 3 * rows * 5130 * 512);
});

test('the sizes of the goals come first, then two images, then the cheapest', () => {
  const points = listPoints(
    [
      { height: 32, width: 64 },
      { height: 64, width: 128 },
    ],
    [1, 2, 4],
    [
      { student: 128, teacher: 512 },
      { student: 512, teacher: 512 },
    ],
  );
  assert.deepEqual(points.map(pointName).slice(0, 7), [
    'minibatch B2 64x128 128/512',
    'minibatch B2 64x128 512/512',
    'memory B2 64x128 512/512',
    'minibatch B2 32x64 128/512',
    'minibatch B2 32x64 512/512',
    'minibatch B1 32x64 128/512',
    'minibatch B1 32x64 512/512',
  ]);
  assert.equal(points.length, 13);
});

test('differing losses or gradients, and NaN, end the bench', () => {
  assertAgreement(GOAL, { ...measured, loss: 0.25001 }, measured);
  assert.throws(() => assertAgreement(GOAL, { ...measured, loss: 0.251 }, measured), /loss is/);
  assert.throws(() => assertAgreement(GOAL, { ...measured, loss: Number.NaN }, measured), /NaN/);
  const gradientSamples = [1, -0.5, 0.01];
  assert.throws(
    () => assertAgreement(GOAL, { ...measured, gradientSamples }, measured),
    /element 2/,
  );
});

test('a forecast scales the measured point by its products', () => {
  const forecast = new Forecast();
  forecast.record('cirkd', GOAL, 1000, 100);
  const larger = { ...GOAL, height: 128, width: 256 };
  assert.equal(forecast.ms('cirkd', larger), 16_000);
  assert.equal(forecast.extraMiB('cirkd', larger), null);
  assert.ok(forecast.extraMiB('torch', larger)! > 16 * 1024, 'PyTorch would not fit');
});

test('the ratio is that of the medians, its range that of the rounds', () => {
  const run = (ms: number, peakKiB: number) => ({ ...measured, ms: [ms], peakKiB });
  const result = compare({
    point: GOAL,
    sides: {
      cirkd: { baseKiB: 1024, runs: [run(10, 2048), run(10, 3072), run(20, 2048)] },
      torch: { baseKiB: 0, runs: [run(50, 20480), run(60, 20480), run(60, 20480)] },
    },
  });
  assert.deepEqual(result, { faster: 6, fasterRange: [3, 6], memoryShare: 0.1 });
});

test('each compared loss comes once, at the size of the goals', () => {
  const sizes = [
    { height: 32, width: 64 },
    { height: 64, width: 128 },
  ];
  const points = comparedPoints(sizes, [1, 2]);
  assert.deepEqual(
    points.map(({ loss }) => loss),
    [...COMPARED_LOSSES],
  );
  assert.ok(points.every(isCompared), 'one is not');
  assert.ok(!isCompared(GOAL), 'the mini-batch loss is');
  assert.equal(pointName(points[0]!), 'task B2 64x128 19/19');
  assert.equal(pointName(points.at(-1)!), 'channel_mse B2 64x128 512/512');
});

test('every term of the objective has a row, with --quick, too', () => {
  const relational = ['minibatch_pixel', 'memory_pixel', 'memory_region'];
  const rows: string[] = [...COMPARED_LOSSES, ...relational];
  assert.deepEqual(rows.toSorted(), [...WEIGHTED_TERMS].toSorted());
  const points = allPoints(QUICK);
  for (const loss of ['minibatch', 'memory', ...COMPARED_LOSSES]) {
    const own = points.filter((point) => point.loss === loss);
    assert.equal(own.length, 1, loss);
    assert.equal(unfitReason(own[0]!), null);
  }
});

test('the holistic term takes the first size that its discriminator can score, or says why it has none', () => {
  const sizes = (...all: [number, number][]) => all.map(([height, width]) => ({ height, width }));
  const holistic = (...all: [number, number][]) =>
    comparedPoints(sizes(...all), [2]).find(({ loss }) => loss === 'skd_holistic')!;
  assert.deepEqual(pointName(holistic([32, 64], [96, 192])), 'skd_holistic B2 96x192 19/19');
  assert.deepEqual(pointName(holistic([32, 64], [64, 128])), 'skd_holistic B2 64x128 19/19');
  const small = holistic([32, 64]);
  const reason = '32x64 is too small: the discriminator needs maps of 64x64 or more';
  assert.equal(unfitReason(small), reason);
  const skipped = { skipped: reason };
  const machine = { processor: 'A processor', memoryGiB: 24, node: '20.0.0' };
  const { losses } = LOSSES_PAGE.sections(
    {
      points: [{ point: small, sides: { cirkd: skipped, torch: skipped } }],
      ...{ date: '2026-01-02T03:04:05.000Z', minutes: 5, machine, threads: 2, engines: {} },
    },
    'plot.svg',
  );
  assert.match(losses!, /- skipped \(32x64 is too small: .*\): skd_holistic B2 32x64 19\/19$/);
});

test('what a compared loss takes grows with its maps', () => {
  const forecast = new Forecast();
  const at: Point = { ...GOAL, loss: 'attention_transfer' };
  forecast.record('cirkd', at, 100, 10);
  assert.equal(forecast.ms('cirkd', { ...at, height: 128, width: 256 }), 400);
  const [small, large] = [64, 256].map((height) => forecast.extraMiB('torch', { ...at, height })!);
  assert.ok(large! > 4 * small! && large! < 16 * small!, `${small} MiB, ${large} MiB`);
});
