/** A student on several processes: faults of a rank, resume with another number of ranks. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { FleetTeacher } from '../support/teachers/fleetTeacher.js';
import { GroupRuns } from '../support/training/groupRuns.js';
import { lossDistance, stateDistance } from '../support/training/runDistance.js';

const STEPS = 6;
const EVERYTHING_GLOBAL = ['distributed.labelledMean=batch', 'distributed.minibatch=batch'];
/** See test/soak/groupSplit.test.ts. */
const LOSS_BOUND = 2e-3;
const GRADIENT_BOUND = 2e-2;

let runs: GroupRuns;
before(async () => {
  runs = await GroupRuns.open(2);
});
afterEach(() => runs.killAll());
after(() => runs.close());

test('a stopped group goes on as one process and as another group, with the same samples', async () => {
  const whole = await runs.train('whole', ...EVERYTHING_GLOBAL);
  for (const [id, ...then] of [['to1'], ['to4', '--workers', '4']]) {
    const first = runs.student(id!, ...EVERYTHING_GLOBAL, 'train.steps=6', '--workers', '2');
    await first.says(/step 2\/6 /);
    first.signal('SIGTERM');
    assert.equal(await first.exit(), 143, first.stderr);
    const [saved] = runs.run(id!).checkpoints();
    assert.ok(saved! >= 2 && saved! < STEPS, `saved after ${saved}`);
    const rest = await runs.train(id!, ...EVERYTHING_GLOBAL, '--resume', ...then);
    const losses = lossDistance(rest, whole);
    assert.ok(losses < LOSS_BOUND, `${id}: losses ${losses}`);
  }
});

test('graph convolution on 2 ranks is that of one process', async () => {
  const settings = [...EVERYTHING_GLOBAL, 'loss.graphConvolution=true'];
  const one = await runs.train('graph1', ...settings);
  const two = await runs.train('graph2', ...settings, '--workers', '2');
  const losses = lossDistance(two, one);
  assert.ok(losses < LOSS_BOUND, `losses ${losses}`);
  // The velocities are the gradients; those of its own convolutions are summed over the ranks as all others.
  const own = stateDistance(two, one, STEPS, /^optimizer.*graph_convolution/);
  assert.ok(own < GRADIENT_BOUND, `gradients ${own}`);
});

/** Slow enough that a rank can be hit in the middle; a checkpoint after each second step. */
const HIT = ['run.checkpointEverySteps=2', 'train.learningRate=0.02', 'train.steps=6'];

for (const { hit, signal } of [
  { hit: 1, signal: 'SIGKILL' },
  { hit: 0, signal: 'SIGKILL' },
  { hit: 1, signal: 'SIGSTOP' },
] as const) {
  test(`rank ${hit} gets ${signal}: the other ends with 8 in time; restarted, the run is an undisturbed one`, async () => {
    const id = `hit${hit}${signal}`;
    const undisturbed = await runs.train(`un${id}`, ...HIT, '--workers', '2');
    const ranks = await runs.ranks(id, 2, [...HIT, 'distributed.perMachine=2']);
    await ranks[0]!.says(/step 2\/6 /);
    ranks[hit]!.signal(signal);
    const begin = performance.now();
    const other = ranks[1 - hit]!;
    assert.equal(await other.exit(), 8, other.stderr);
    const ms = performance.now() - begin;
    assert.ok(ms < 6000 + 20_000, `${ms} ms, with distributed.timeoutMs: 6000`);
    assert.match(other.stderr, new RegExp(`lost rank ${hit} \\(127\\.0\\.0\\.1:\\d+\\)`));
    ranks[hit]!.kill();
    await ranks[hit]!.exit();
    const again = await runs.ranks(id, 2, [...HIT, 'distributed.perMachine=2', '--resume']);
    for (const rank of again) assert.equal(await rank.exit(), 0, rank.stderr);
    const [state, wanted] = [runs.run(id).state(STEPS), undisturbed.state(STEPS)];
    const others = [...wanted].filter(([name, bytes]) => state.get(name) !== bytes);
    assert.deepEqual(
      others.map(([name]) => name),
      [],
    );
  });
}

test("an answer that isn't finite to one rank: all ask again or wait, and none makes half a step", async () => {
  const undisturbed = await runs.train('finite', ...HIT, '--workers', '2');
  const faulty = await FleetTeacher.start([
    ...['simulate.imageMs=0', 'simulate.featureChannels=64', 'faults.nonFiniteEvery=5'],
  ]);
  const disturbed = runs.student('nonfinite', ...HIT, '--workers', '2', runs.teachersAnd(faulty));
  assert.equal(await disturbed.exit(), 0, disturbed.stderr);
  assert.match(disturbed.stderr, /\[rank [01]\].*"reason":"nonfinite"/);
  assert.deepEqual(runs.run('nonfinite').state(STEPS), undisturbed.state(STEPS));
});

test('ranks that differ are refused at the start, by name and with both values', async () => {
  const ranks = await runs.ranks('differs', 2, [], (rank) =>
    rank === 1 ? ['seed=6', 'data.train.samples=21'] : [],
  );
  for (const rank of ranks) {
    assert.equal(await rank.exit(), 2, rank.stderr);
    assert.match(rank.stderr, /rank 1 \(127\.0\.0\.1:\d+\): seed: got 6, rank 0 has 5/);
    assert.match(rank.stderr, /rank 1 \(.*\): data\.train.*: got .*, rank 0 has /);
  }
  assert.equal(runs.run('differs').exists, false);
});

test('--workers: a rank that is killed ends the command, and nothing is left', async () => {
  const student = runs.student('launched', ...HIT, 'train.steps=40', '--workers', '2');
  await student.says(/\[rank 0\] step 2\/40 /);
  const pids = childrenOf(student.child.pid!);
  assert.equal(pids.length, 2, `${pids}`);
  process.kill(pids[1]!, 'SIGKILL');
  assert.notEqual(await student.exit(), 0, student.stderr);
  assert.match(student.stderr, /\[rank [01]\] .*lost rank [01] /);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/);
});

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(/\s+/).map(Number);
}
