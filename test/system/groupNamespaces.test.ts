/**
 * A student on three ranks with addresses of their own, in network namespaces (root): one is cut off, killed or frozen.
 * The others end with code 8 in time, rank 0 keeps a whole checkpoint, and the group started again ends as one that
 * nothing disturbed. Fails where the machine allows no namespaces.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { RankNamespaces } from '../support/connections/rankNamespaces.js';
import { GroupRuns } from '../support/training/groupRuns.js';

const RANKS = 3;
const STEPS = 6;
const TIMEOUT_MS = 6000;
/** Beyond distributed.timeoutMs: to save what is there and to end. */
const END_MS = 2000;
const SETTINGS = [
  ...[`train.steps=${STEPS}`, 'train.batchSize=6', 'train.learningRate=0.02'],
  ...['run.checkpointEverySteps=2', `distributed.timeoutMs=${TIMEOUT_MS}`],
  // All of them share this machine's cores.
  `distributed.perMachine=${RANKS}`,
];

let networks: RankNamespaces;
let runs: GroupRuns;
let undisturbed: ReadonlyMap<string, string>;

before(async () => {
  networks = RankNamespaces.open(RANKS);
  runs = await GroupRuns.open(1, networks.teachers);
  for (const rank of start('undisturbed')) assert.equal(await rank.exit(), 0, rank.stderr);
  undisturbed = runs.run('undisturbed').state(STEPS);
  assert.ok(undisturbed.size > 300, `${undisturbed.size} tensors`);
});
afterEach(() => runs?.killAll());
after(() => {
  runs?.close();
  networks?.close();
});

const start = (id: string, ...args: string[]) =>
  runs.ranksAt(id, networks.ranks, ...SETTINGS, ...args);

/** Milliseconds from a moment on until each of them says that rank `lost` is gone and ends with 8. */
async function assertEnd(others: readonly CirkdProcess[], lost: number): Promise<number> {
  const begin = performance.now();
  const { address } = networks.ranks[lost]!;
  for (const other of others) {
    assert.equal(await other.exit(), 8, other.stderr);
    assert.ok(
      other.stderr.includes(`lost rank ${lost} (${address})`),
      `wanted the loss of rank ${lost}:\n${other.stderr}`,
    );
  }
  return performance.now() - begin;
}

/** Nothing half-written, and from the last checkpoint on the same run as the undisturbed one. */
async function assertGoesOn(id: string): Promise<void> {
  const kept = runs.run(id).checkpoints();
  assert.ok(kept.length > 0, 'no checkpoint');
  assert.ok(kept.at(-1)! >= 2 && kept.at(-1)! < STEPS, `checkpoints after ${kept} steps`);
  for (const rank of start(id, '--resume')) assert.equal(await rank.exit(), 0, rank.stderr);
  const state = runs.run(id).state(STEPS);
  assert.deepEqual([...state.keys()], [...undisturbed.keys()]);
  const differ = [...undisturbed].filter(([name, bytes]) => state.get(name) !== bytes);
  assert.deepEqual(
    differ.map(([name]) => name),
    [],
  );
}

interface Drill {
  readonly what: string;
  readonly rank: number;
  /** From the hit to the end of the others. */
  readonly limitMs: number;
  hit(rank: CirkdProcess): void;
}

const DRILLS: readonly Drill[] = [
  {
    what: 'rank 2 is cut off',
    rank: 2,
    limitMs: TIMEOUT_MS + END_MS,
    hit: () => networks.cut(2),
  },
  {
    what: 'rank 0 is killed',
    rank: 0,
    limitMs: END_MS,
    hit: (rank) => rank.signal('SIGKILL'),
  },
  {
    what: 'rank 1 is frozen',
    rank: 1,
    limitMs: TIMEOUT_MS + END_MS,
    hit: (rank) => rank.signal('SIGSTOP'),
  },
];

for (const { what, rank: lost, limitMs, hit } of DRILLS) {
  test(`${what}: the others end with 8 in time; started again, the run is an undisturbed one`, async (t) => {
    const id = what.replaceAll(' ', '-');
    const ranks = start(id);
    // After the first periodic checkpoint.
    await ranks[0]!.says(/step 3\/6 /);
    hit(ranks[lost]!);
    const others = ranks.filter((_, rank) => rank !== lost);
    const ms = await assertEnd(others, lost);
    t.diagnostic(`${what}: the others ended after ${ms.toFixed(0)} ms`);
    assert.ok(ms < limitMs, `${ms} ms, wanted less than ${limitMs}`);
    await endLost(ranks[lost]!, what);
    await assertGoesOn(id);
  });
}

/** A rank that is cut off loses the others itself; its cable is mended afterwards. */
async function endLost(rank: CirkdProcess, what: string): Promise<void> {
  if (what.endsWith('cut off')) {
    assert.equal(await rank.exit(), 8, rank.stderr);
    assert.match(rank.stderr, /lost rank [01] /);
    networks.mend(2);
    return;
  }
  rank.kill();
  await rank.exit();
}
