/** The group's bench: its figures and its arithmetic, and a case of it once, small. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureCase } from '../../bench/group/measure.js';
import { exchangeMs, hiddenShare, section, stepsOf, stepTable } from '../../bench/group/page.js';
import { efficiency, latencyMs, transferMs } from '../../bench/group/projection.js';
import { allowedCores, twoCores } from '../../bench/group/ranks.js';
import type { GroupCase, GroupResults } from '../../bench/group/results.js';

const rank = (ms: number[], collectiveMs: number[], waitedMs = 0) => ({
  ...{ ms, collectiveMs },
  gradients: ms.map(() => ({ tookMs: 20, waitedMs })),
});

const CASE: GroupCase = {
  ...{ name: 'a-network', parameters: 1_000_000, bytes: 5_000_000, calls: 10 },
  alone: [rank([100, 120], [0, 0]), rank([80, 100], [0, 0])],
  beside: [[rank([125, 125], [0, 0]), rank([100, 110], [0, 0])]],
  group: [[rank([190, 200], [90, 40], 4), rank([200, 210], [30, 50], 6)]],
  afterwards: [[rank([210, 220], [90, 40], 20), rank([220, 230], [30, 50], 22)]],
};

const RESULTS: GroupResults = {
  date: '2026-01-02T03:04:05.000Z',
  minutes: 7,
  machine: { processor: 'A processor', memoryGiB: 24, node: '20.0.0' },
  threads: 1,
  engines: { cirkd: 'TensorFlow 2' },
  ...{ images: 2, height: 64, width: 128, cores: [0, 3], bare: { smallMs: [1, 2, 3] } },
  cases: [CASE],
};

test('a step is over when the slower rank is done; the rank that waits less shows the exchange', () => {
  assert.deepEqual(stepsOf(CASE.group), [200, 210]);
  assert.deepEqual(exchangeMs(CASE), [30, 40]);
  // Medians: 100 alone, 125 without exchange, 205 in a group.
  const cells = stepTable([CASE])
    .split('\n')[2]!
    .split('|')
    .map((cell) => cell.trim());
  assert.equal(cells[4], '0.800');
  assert.equal(cells[6], '0.488');
});

test('what is hidden of the gradients: the time for which the step did not wait', () => {
  assert.equal(hiddenShare(CASE.group), 0.75);
  assert.equal(hiddenShare(CASE.afterwards), 0);
  const text = section(RESULTS);
  assert.match(
    text,
    /\| a-network \| during the backward pass \| 20 \(20–20\) \| 5 \(4–6\) \| 75 % \| 205 /,
  );
  assert.match(
    text,
    /\| a-network \| after the backward pass \| 20 \(20–20\) \| 21 \(20–22\) \| 0 % \| 225 /,
  );
});

test('the projection is a ring of which nothing is hidden', () => {
  const machines = { ranks: 8, gigabits: 25 };
  // 14/8 of 50 MB at 3.125 GB/s.
  assert.equal(transferMs({ bytes: 50e6 }, machines), 28);
  const step = { stepMs: 72, bytes: 50e6, calls: 100, smallMs: 0.1 };
  assert.ok(Math.abs(latencyMs(step, 8) - 70) < 1e-9);
  assert.equal(latencyMs(step, 2), 10);
  const { transferOnly, withLatency } = efficiency(step, machines);
  assert.equal(transferOnly, 0.72);
  assert.ok(Math.abs(withLatency - 72 / 170) < 1e-9, `${withLatency}`);
});

test('the section says what is projected, for both links', () => {
  const text = section(RESULTS);
  assert.match(text, /one core each \(0 and 3\)/);
  assert.match(text, /A gather of one float takes 2\.00 \(1\.50–2\.50\) ms/);
  assert.match(text, /\*\*Projected, not measured\*\*/);
  // 4 of 5 million bytes are gradients; 2.8 ms at 25 Gbit/s.
  assert.match(text, /\| a-network \| 1000000 \| 4\.8 \| 80 % \| 10 \| /);
  assert.match(text, /\n\| a-network \| 25 \| 100 \| 2\.8 \| 140 \| 0\.973 \| 0\.412 \|/);
  assert.match(text, /\n\| a-network \| 100 \| 100 \| 0\.7 \| /);
});

test('cores are those that the process may use', () => {
  assert.deepEqual(allowedCores('Cpus_allowed_list:\t0-2,5\n'), [0, 1, 2, 5]);
  assert.deepEqual(twoCores([1, 4, 6]), [1, 6]);
  assert.throws(() => twoCores([3]), /^UsageError: two cores are needed/);
});

test('a small network alone, beside another one and in a group: steps, bytes and collectives', async () => {
  const workload = {
    ...({
      model: 'deeplab_mobile',
      backbone: 'mobilenetv2',
      variant: 'v1',
      loss: 'cirkd',
    } as const),
    ...{ widthMultiplier: 0.125, classes: 3, images: 2, height: 32, width: 32, teacherChannels: 8 },
    bankRows: { pixel: 16, region: 4 },
  };
  const amount = { rounds: 2, steps: 2, small: 5 };
  const { found, bare } = await measureCase(
    { name: 'tiny', workload },
    amount,
    twoCores(),
    () => {},
  );
  const sides = [found.alone, found.beside, found.group, found.afterwards];
  assert.deepEqual(
    sides.map(({ length }) => length),
    [2, 2, 2, 2],
  );
  for (const one of [...found.alone, ...found.beside.flat()]) {
    assert.deepEqual([one.ms.length, one.collectiveMs], [2, [0, 0]]);
  }
  for (const { ms, collectiveMs, gradients } of [...found.group, ...found.afterwards].flat()) {
    assert.ok(
      gradients.every(({ tookMs }, step) => tookMs > 0 && tookMs < ms[step]!),
      JSON.stringify(gradients),
    );
    assert.ok(
      ms.every((each, step) => collectiveMs[step]! > 0 && collectiveMs[step]! < each),
      `${collectiveMs} of ${ms}`,
    );
  }
  assert.ok(found.bytes > 4 * found.parameters, `${found.bytes} bytes`);
  assert.ok(found.bytes < 2 * 4 * found.parameters, `${found.bytes} bytes`);
  // Two per norm at least.
  assert.ok(found.calls > 60, `${found.calls} collectives`);
  assert.equal(bare.smallMs.length, 5);
});
