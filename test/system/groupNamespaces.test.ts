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
/** Beyond distributed.timeoutMs: a rank says so from its next exchange, which a busy machine's step may delay. */
const NOTICE_MS = 12_000;
/** Beyond that: to save what is there and to end, on a busy machine. */
const END_MS = 8000;
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
afterEach(() => {
  runs?.killAll();
  for (const rank of networks?.ranks.keys() ?? []) networks.mend(rank);
});
after(() => {
  runs?.close();
  networks?.close();
});

const start = (id: string, ...args: string[]) =>
  runs.ranksAt(id, networks.ranks, ...SETTINGS, ...args);

interface Times {
  /** Until the last of the others has said that the rank is lost. */
  readonly noticedMs: number;
  /** Until the last of them has ended. */
  readonly endedMs: number;
}

/** From now on, until each of them has named rank `lost` and ended with 8. */
async function endOf(others: readonly CirkdProcess[], lost: number): Promise<Times> {
  const begin = performance.now();
  const since = () => performance.now() - begin;
  const { address } = networks.ranks[lost]!;
  const named = new RegExp(`lost rank ${lost} \\(${address.replaceAll('.', '\\.')}\\)`);
  const times = others.map(async (other) => {
    await other.says(named);
    const noticedMs = since();
    assert.equal(await other.exit(), 8, other.stderr);
    return { noticedMs, endedMs: since() };
  });
  const all = await Promise.all(times);
  return {
    noticedMs: Math.max(...all.map(({ noticedMs }) => noticedMs)),
    endedMs: Math.max(...all.map(({ endedMs }) => endedMs)),
  };
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
  /** From the hit until the others have noticed. */
  readonly limitMs: number;
  hit(rank: CirkdProcess): void;
}

const DRILLS: readonly Drill[] = [
  {
    what: 'rank 2 is cut off',
    rank: 2,
    limitMs: TIMEOUT_MS + NOTICE_MS,
    hit: () => networks.cut(2),
  },
  {
    what: 'rank 0 is killed',
    rank: 0,
    // Its connections break at once: nobody waits for the timeout.
    limitMs: TIMEOUT_MS,
    hit: (rank) => rank.signal('SIGKILL'),
  },
  {
    what: 'rank 1 is frozen',
    rank: 1,
    limitMs: TIMEOUT_MS + NOTICE_MS,
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
    const { noticedMs, endedMs } = await endOf(others, lost);
    t.diagnostic(
      `${what}: noticed after ${noticedMs.toFixed(0)} ms, ended after ${endedMs.toFixed(0)} ms`,
    );
    assert.ok(noticedMs < limitMs, `noticed after ${noticedMs} ms, limit ${limitMs}`);
    assert.ok(endedMs < limitMs + END_MS, `ended after ${endedMs} ms, limit ${limitMs + END_MS}`);
    await endLost(ranks[lost]!, lost, what);
    await assertGoesOn(id);
  });
}

/** A rank that is cut off loses the others itself; its cable is mended afterwards. */
async function endLost(rank: CirkdProcess, lost: number, what: string): Promise<void> {
  if (what.endsWith('cut off')) {
    assert.equal(await rank.exit(), 8, rank.stderr);
    assert.match(rank.stderr, /lost rank [01] /);
    networks.mend(lost);
    return;
  }
  rank.kill();
  await rank.exit();
}
