/** A student on several processes: updates beside one process's, resume with another number of ranks, faults of a rank. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, type TestContext, test } from 'node:test';
import { FleetTeacher } from '../support/teachers/fleetTeacher.js';
import { CLASSES, FEATURE_CHANNELS, GroupRuns } from '../support/training/groupRuns.js';
import { lossDistance, type State, updateDistances } from '../support/training/runDistance.js';
import { startState } from '../support/training/startState.js';
import type { TrainedRun } from '../support/training/trainedRun.js';

const STEPS = 6;

/** All terms, what they train, and everything global; at a rate at which the updates are far above their rounding. */
const GLOBAL = [
  ...['distributed.labelledMean=batch', 'distributed.minibatch=batch'],
  ...[
    ...['minibatch_channel', 'memory_channel', 'channel_mse', 'attention_transfer', 'fitnet'],
    ...['skd_pairwise', 'ifvd', 'cwd_feature', 'cwd_logits', 'dsd_psd', 'dsd_csd'],
  ].map((term) => `loss.weights.${term}=0.1`),
  'loss.graphConvolution=true',
  `loss.classWeights=[${Array.from({ length: CLASSES }, (_, k) => 0.5 + k / 4)}]`,
  ...[`train.steps=${STEPS}`, 'train.learningRate=0.02', 'train.weightDecay=0.01'],
  ...['run.checkpointEverySteps=1', `run.keepCheckpoints=${STEPS}`],
];

interface Bounds {
  /** Of each tensor's own update, or velocity. A halved or missing one would be off by 0.5 or more. */
  readonly tensor: number;
  /** Of half of the tensors. */
  readonly median: number;
  /** Of each running mean's or variance's own change. */
  readonly statistics: number;
}

/** Seen: 1.4e-3, 9e-5 and 7.2e-5. */
const FIRST_STEP: Bounds = { tensor: 0.02, median: 1e-3, statistics: 1e-3 };
/**
 * In later steps of a random network some activations are so near their gate that rounding opens or closes it: seen were
 * 3.4e-2, 3.4e-3 and 6.6e-5.
 */
const LATER_STEP: Bounds = { tensor: 0.2, median: 0.02, statistics: 1e-3 };
const LOSS_BOUND = 1e-4;

const WEIGHTS = /^(?!optimizer|banks).*(?<!running_mean|running_var|num_batches_tracked)$/;

interface OneStep {
  readonly got: State;
  readonly wanted: State;
  /** Both began with it. */
  readonly from: State;
  readonly bounds: Bounds;
}

/** One update of the same state, made by different numbers of ranks. */
function assertSameUpdate(
  t: TestContext,
  what: string,
  { got, wanted, from, bounds }: OneStep,
): void {
  assert.deepEqual([...got.keys()], [...wanted.keys()]);
  for (const [part, names, start, bound] of [
    ['weights', WEIGHTS, from, bounds.tensor],
    ['velocities', /^optimizer/, null, bounds.tensor],
    ['statistics', /running_(mean|var)$/, from, bounds.statistics],
  ] as const) {
    const distances = updateDistances(got, wanted, start, names);
    const { name, distance } = distances[0]!;
    const median = distances[distances.length >> 1]!.distance;
    const seen = `${distance.toExponential(1)} (${name}), median ${median.toExponential(1)}`;
    t.diagnostic(`${what}: ${part} ${seen}`);
    assert.ok(distance < bound && median < bounds.median, `${what}: ${part} ${seen}`);
  }
  const exact = (state: State) =>
    [...state].filter(([name]) => /^banks|num_batches_tracked$/.test(name));
  // Queue, pointer and fill of three banks, and a count of each norm.
  assert.ok(exact(wanted).length > 9 + 50, `${exact(wanted).length} banks and counts`);
  assert.deepEqual(exact(got), exact(wanted));
}

let runs: GroupRuns;
before(async () => {
  runs = await GroupRuns.open(2);
});
afterEach(() => runs.killAll());
after(() => runs.close());

test('from the same state 1, 2 and 4 ranks make the same update: at the start, and resumed by another number of ranks', async (t) => {
  const one = await runs.train('one', ...GLOBAL, 'train.steps=1');
  const start = startState(one, { classes: CLASSES, teacherChannels: FEATURE_CHANNELS });
  const stopped = runs.student('stopped', ...GLOBAL, '--workers', '2');
  await stopped.says(/step 2\/6 /);
  stopped.signal('SIGTERM');
  assert.equal(await stopped.exit(), 143, stopped.stderr);
  const two = runs.run('stopped');
  assertSameUpdate(t, 'R = 2', {
    got: two.state(1),
    wanted: one.state(1),
    from: start,
    bounds: FIRST_STEP,
  });
  const saved = 2;
  assert.ok(two.checkpoints().at(-1)! < STEPS, `saved after ${two.checkpoints()}`);
  two.dropCheckpointsAfter(saved);
  const from = two.state(saved);
  const resume = async (size: number) => {
    const id = `on${size}`;
    runs.copy('stopped', id);
    const workers = size === 1 ? [] : ['--workers', String(size)];
    return runs.train(id, ...GLOBAL, '--resume', ...workers);
  };
  const undisturbed = await resume(2);
  for (const size of [1, 4]) {
    const other = await resume(size);
    const [got, wanted] = [other.state(saved + 1), undisturbed.state(saved + 1)];
    const step = { got, wanted, from, bounds: LATER_STEP };
    assertSameUpdate(t, `from R = 2 to R = ${size}, step ${saved + 1}`, step);
    const [losses, same] = [other, undisturbed].map((run) => run.steps().slice(0, saved + 1));
    const distance = lossDistance(losses!, same!);
    assert.ok(distance < LOSS_BOUND, `${size}: losses ${distance}`);
    const samples = (run: TrainedRun) => run.steps().map((step) => step.samples);
    assert.deepEqual(samples(other), samples(undisturbed));
  }
});

/** Slow enough that a rank can be hit in the middle; a checkpoint after each second step. */
const HIT = ['run.checkpointEverySteps=2', 'train.learningRate=0.02', 'train.steps=6'];

// Other ranks and other ends: groupNamespaces, groupEvaluation, groupEnd, groupStart.
test('rank 1 is killed: the other ends with 8 in time; restarted, the run is an undisturbed one', async () => {
  const id = 'hit';
  const undisturbed = await runs.train(`un${id}`, ...HIT, '--workers', '2');
  const ranks = await runs.ranks(id, 2, [...HIT, 'distributed.perMachine=2']);
  await ranks[0]!.says(/step 2\/6 /);
  ranks[1]!.kill();
  const begin = performance.now();
  const other = ranks[0]!;
  assert.equal(await other.exit(), 8, other.stderr);
  const ms = performance.now() - begin;
  assert.ok(ms < 6000 + 20_000, `${ms} ms, with distributed.timeoutMs: 6000`);
  assert.match(other.stderr, /lost rank 1 \(127\.0\.0\.1:\d+\)/);
  await ranks[1]!.exit();
  const again = await runs.ranks(id, 2, [...HIT, 'distributed.perMachine=2', '--resume']);
  for (const rank of again) assert.equal(await rank.exit(), 0, rank.stderr);
  const [state, wanted] = [runs.run(id).state(STEPS), undisturbed.state(STEPS)];
  const others = [...wanted].filter(([name, bytes]) => state.get(name) !== bytes);
  assert.deepEqual(
    others.map(([name]) => name),
    [],
  );
});

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

test('a rank whose list of ranks is shorter ends all of them at once, and is named', async () => {
  // Six crops go with two and with three ranks.
  const begin = performance.now();
  const ranks = await runs.ranks(
    'shorter',
    3,
    ['train.batchSize=6', 'distributed.timeoutMs=30000'],
    (rank, workers) =>
      rank === 1 ? [`distributed.workers=${JSON.stringify(workers.slice(0, 2))}`] : [],
  );
  for (const rank of ranks) {
    assert.equal(await rank.exit(), 2, rank.stderr);
    assert.match(rank.stderr, /rank 1 \(127\.0\.0\.1:\d+\): distributed\.workers: got /);
  }
  const ms = performance.now() - begin;
  assert.ok(ms < 60_000, `${ms} ms, with distributed.startTimeoutMs: 120000`);
  assert.equal(runs.run('shorter').exists, false);
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
