/** What a group of ranks tells of itself: time and bytes in collectives, and which rank the others wait for. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { parseSafetensors } from '../../src/wire/safetensors.js';
import type { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { eventually } from '../support/eventually.js';
import { FleetTeacher } from '../support/teachers/fleetTeacher.js';
import { GroupRuns } from '../support/training/groupRuns.js';
import type { StepEvent, TrainedRun } from '../support/training/trainedRun.js';

const STEPS = 12;
const ENDLESS = ['train.steps=100000', 'distributed.perMachine=2'];

interface GroupStepEvent extends StepEvent {
  readonly seconds: Readonly<Record<string, number>>;
  readonly collectiveBytes?: Readonly<Record<string, number>>;
  readonly lagSeconds?: readonly number[];
}

let runs: GroupRuns;
before(async () => {
  runs = await GroupRuns.open(1);
});
afterEach(() => runs.killAll());
after(() => runs.close());

const stepsOf = (run: TrainedRun) => run.steps() as GroupStepEvent[];

async function scrape(rank: CirkdProcess): Promise<(line: string) => number | undefined> {
  const [, url = ''] = await rank.says(/"url":"([^"]+)"/);
  const text = await (await fetch(url)).text();
  const values = new Map(
    text.split('\n').map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))] as const;
    }),
  );
  return (line) => values.get(line);
}

const lagOf = (peer: number) => `cirkd_student_rank_lag_seconds_total{peer="${peer}",rank="0"}`;
const phase = (name: string, rank: number) =>
  `cirkd_student_phase_seconds_total{phase="${name}",rank="${rank}"}`;
const bytesOf = (kind: string, rank: number) =>
  `cirkd_student_collective_bytes_total{kind="${kind}",rank="${rank}"}`;

/** The optimizer has a velocity for every number that is trained. */
function trainedBytes(run: TrainedRun): number {
  const file = readFileSync(run.checkpointFile(STEPS, 'optimizer.safetensors'));
  const { tensors } = parseSafetensors(file);
  return [...tensors].reduce((sum, [, { data }]) => sum + data.byteLength, 0);
}

test('every step of a group: gradients of 4 bytes per parameter, and phases that add up', async () => {
  const run = await runs.train('bytes', `train.steps=${STEPS}`, '--workers', '2');
  const trained = trainedBytes(run);
  assert.ok(trained > 100_000, `${trained}`);
  const steps = stepsOf(run);
  assert.equal(steps.length, STEPS);
  for (const { step, seconds, collectiveBytes, lagSeconds } of steps) {
    // Statistics of batch norms and terms are small.
    const reduced = collectiveBytes!['all_reduce']! / trained;
    assert.ok(reduced >= 1 && reduced < 1.2, `step ${step}: ${reduced} of the parameters`);
    assert.equal(collectiveBytes!['all_reduce'], steps[0]!.collectiveBytes!['all_reduce']);
    assert.ok(collectiveBytes!['all_gather']! > 0);
    assert.equal(collectiveBytes!['broadcast'], 0, 'what the start sent is no part of a step');
    const { total, ...phases } = seconds;
    assert.deepEqual(Object.keys(phases), ['data', 'teacher', 'compute', 'collectives']);
    assert.ok(
      Object.values(phases).every((value) => value >= 0),
      JSON.stringify(seconds),
    );
    assert.ok(phases['collectives']! > 0, JSON.stringify(seconds));
    const sum = Object.values(phases).reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(sum / total! - 1) < 1e-6, JSON.stringify(seconds));
    assert.equal(lagSeconds!.length, 2);
    assert.equal(
      Math.min(...lagSeconds!),
      0,
      `the typical of two ranks is the first: ${lagSeconds}`,
    );
  }
  const html = readFileSync(`${run.path}/report.html`, 'utf8');
  assert.match(html, /in collectives/);
});

test('one process has none of it, in metrics, events, progress and report', async () => {
  const student = runs.student('alone', 'train.steps=100000');
  await student.says(/step 3\/100000 /);
  const [, url = ''] = await student.says(/"url":"([^"]+)"/);
  const text = await (await fetch(url)).text();
  const series = text.split('\n').filter((line) => !line.startsWith('#'));
  assert.deepEqual(
    series.filter((line) => /collective|rank/.test(line)),
    [],
  );
  assert.doesNotMatch(student.stderr, /collective/);
  student.signal('SIGTERM');
  assert.equal(await student.exit(), 143, student.stderr);
  const [step] = stepsOf(runs.run('alone'));
  assert.deepEqual(Object.keys(step!.seconds), ['total', 'data', 'teacher', 'compute']);
  assert.ok(!('lagSeconds' in step!) && !('collectiveBytes' in step!), JSON.stringify(step));
});

/** To notice, for which a quarter of distributed.timeoutMs (6 s) is enough, and to end on a busy machine. */
const END_MS = 10_000;

const awaited = (peer: number) => `cirkd_student_rank_awaited_seconds{peer="${peer}",rank="0"}`;

/** Rank 0 says that it waits for rank 1, and the figure rises meanwhile. */
async function assertAwaited(rank0: CirkdProcess): Promise<void> {
  await rank0.says(/"peer":1,.*"a rank keeps the others waiting"/);
  const first = (await scrape(rank0))(awaited(1))!;
  assert.ok(first > 1, `${first} s`);
  await eventually(async () => (await scrape(rank0))(awaited(1))! > first + 1);
  assert.equal((await scrape(rank0))(awaited(0)), 0);
}

test('a rank whose teacher is slow, and then gone: rank 0 serves its lag, and names it while it waits', async () => {
  const slow = await FleetTeacher.start([
    ...['simulate.imageMs=500', 'simulate.featureChannels=64'],
  ]);
  // With answers fetched ahead, a machine whose steps are slow would hide it.
  const settings = [...ENDLESS, 'teacher.prefetchSteps=0'];
  const ranks = await runs.ranks('slow', 2, settings, (rank) =>
    rank === 1 ? [`teacher.addresses=["${slow.address}"]`] : [],
  );
  await ranks[0]!.says(/step 4\/100000 .* in collectives \d+% /);
  const before = await scrape(ranks[0]!);
  await ranks[0]!.says(/step 10\/100000 /);
  const now = await scrape(ranks[0]!);
  const follower = await scrape(ranks[1]!);
  const more = (line: string) => now(line)! - before(line)!;
  const steps = more('cirkd_student_steps_total{rank="0"}');
  assert.ok(steps >= 6, `${steps} steps`);
  // Two crops of 0.5 s for each step of rank 1.
  assert.ok(more(lagOf(1)) > 0.5 * steps, `rank 1: ${more(lagOf(1))} s in ${steps} steps`);
  assert.ok(more(lagOf(0)) < 0.3 * more(lagOf(1)), `rank 0: ${more(lagOf(0))} s`);
  const waited = more(phase('collectives', 0));
  assert.ok(waited > 0.8 * more(lagOf(1)), `rank 0 waited ${waited} s, of ${more(lagOf(1))} s`);
  // At least a second for each step.
  assert.ok(follower(phase('teacher', 1))! > 0.5 * steps);
  // Rank 0 alone serves the lag; the bytes are each rank's own.
  assert.equal(follower('cirkd_student_rank_lag_seconds_total{peer="1",rank="1"}'), undefined);
  assert.ok(follower(bytesOf('all_reduce', 1))! > 0);
  slow.freeze();
  await assertAwaited(ranks[0]!);
  // Rank 1 waits for its teacher all the time, and notices nevertheless.
  const begin = performance.now();
  ranks[0]!.signal('SIGKILL');
  assert.equal(await ranks[1]!.exit(), 8, ranks[1]!.stderr);
  const ms = performance.now() - begin;
  assert.ok(ms < END_MS, `${ms} ms`);
  assert.match(ranks[1]!.stderr, /rank 1 of 2: lost rank 0 \(/);
});
