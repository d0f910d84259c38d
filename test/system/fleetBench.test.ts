/** The fleet's bench: its figures and goals, and each part of it once, small. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Amount, measureFleet, measureRemote } from '../../bench/fleet/measure.js';
import { goalTable, section } from '../../bench/fleet/page.js';
import { type FleetResults, linearShare } from '../../bench/fleet/results.js';

const results: FleetResults = {
  date: '2026-01-02T03:04:05.000Z',
  minutes: 7,
  machine: { processor: 'A processor', memoryGiB: 24, node: '20.0.0' },
  threads: 2,
  engines: { cirkd: 'TensorFlow 2' },
  size: { height: 512, width: 1024, classes: 19, channels: 512, latencyMs: 400 },
  remote: {
    ...{ height: 128, width: 256, oneWaiting: [0, 0.01, 0], twoWaiting: [0, 0, 0.02] },
    ...{ onePerSecond: [10, 9, 11], twoPerSecond: [9.6, 9.2, 20] },
  },
  waiting: {
    teachers: 2,
    stepMs: 100,
    steps: 50,
    prefetch: [{ prefetchSteps: 8, share: [0.01, 0.04, 0.02] }],
  },
  scaling: [
    { teachers: 1, imagesPerSecond: [2.4, 2.5, 2.45] },
    { teachers: 2, imagesPerSecond: [4.5, 4.6, 4.9] },
  ],
};

/** What is in the cells of a table's rows, from the second one on. */
function cells(table: string): string[][] {
  const rows = table.split('\n').slice(2);
  return rows.map((row) =>
    row
      .split('|')
      .slice(2, -1)
      .map((cell) => cell.trim()),
  );
}

test('goals: medians of the rounds, and the fleet with the largest loss', () => {
  assert.deepEqual(cells(goalTable(results)), [
    ['≥ 0.95', '0.960', 'yes'],
    ['≤ 0.03', '0.020', 'yes'],
    // Two teachers can 5 images/s; 4.6 come.
    ['≥ 0.95', '0.920', '**no**'],
  ]);
  assert.equal(linearShare(results.scaling[0]!, 2.5, 400), 1);
});

test('the section of the page has every part', () => {
  const text = section(results);
  assert.match(text, /\| in another one \| 9\.60 \(9\.40–14\.80\) \| 0\.00 % \|/);
  assert.match(text, /2 teachers, rounds of 50 steps of 100 ms/);
  assert.match(text, /\| 8 \| 1\.00 %, 4\.00 %, 2\.00 % \|/);
  assert.match(text, /\n\| 2 \| 4\.60 \(4\.55–4\.75\) \| 0\.920 \| 0\.939 \|/);
});

const AMOUNT: Amount = {
  ...{ trainRounds: 1, trainSteps: 1, waitingRounds: 1, waitingSteps: 2 },
  ...{ scalingRounds: 1, imagesEach: 2 },
};
const isRate = (value: number | undefined) => value !== undefined && value > 0;
const isShare = (value: number | undefined) => value !== undefined && value >= 0 && value <= 1;

test('the bench measures simulated teachers with a student that pulls and steps', async () => {
  const size = { height: 32, width: 32, classes: 3, channels: 8, latencyMs: 5 };
  const { scaling, waiting } = await measureFleet(AMOUNT, size, [1, 2], () => {});
  assert.deepEqual(
    scaling.map(({ teachers, imagesPerSecond }) => [teachers, imagesPerSecond.map(isRate)]),
    [
      [1, [true]],
      [2, [true]],
    ],
  );
  assert.deepEqual(
    [waiting.teachers, waiting.prefetch.map(({ share }) => share.map(isShare))],
    [2, [[true], [true]]],
  );
});

test('the bench measures a training student with its teacher in the same and in another process', async () => {
  const remote = await measureRemote(AMOUNT, { height: 32, width: 32 }, () => {});
  const rates = [remote.onePerSecond, remote.twoPerSecond];
  assert.deepEqual(
    rates.map((each) => each.map(isRate)),
    [[true], [true]],
  );
  const shares = [remote.oneWaiting, remote.twoWaiting];
  assert.deepEqual(
    shares.map((each) => each.map(isShare)),
    [[true], [true]],
  );
});
