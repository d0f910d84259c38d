/** A rank that is stopped, killed or frozen while all of a group wait for teachers at its start. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { GroupRuns } from '../support/training/groupRuns.js';

const TIMEOUT_MS = 4000;
const SETTINGS = [
  // Nobody is there.
  ...['teacher.addresses=["127.0.0.1:1"]', 'teacher.teacherTimeoutMs=300000'],
  ...[`distributed.timeoutMs=${TIMEOUT_MS}`, 'distributed.perMachine=3'],
  'train.batchSize=3',
];
/** Beyond distributed.timeoutMs, to end on a busy machine. */
const END_MS = 10_000;

let runs: GroupRuns;
before(async () => {
  runs = await GroupRuns.open(0);
});
afterEach(() => runs?.killAll());
after(() => runs?.close());

for (const { what, signals, codes } of [
  { what: 'stopped', signals: ['SIGTERM'], codes: [143, 143, 143] },
  { what: 'killed and another one frozen', signals: ['SIGKILL', 'SIGSTOP'], codes: [8] },
] as const) {
  test(`a rank is ${what} while all wait for teachers: the others end in time`, async () => {
    const id = `start-${signals.join('-')}`;
    const ranks = await runs.ranks(id, 3, SETTINGS);
    // A follower serves its metrics when all have joined.
    for (const rank of ranks.slice(1)) await rank.says(/"url":"/);
    const begin = performance.now();
    for (const [i, signal] of signals.entries()) ranks[2 - i]!.signal(signal);
    for (const [rank, code] of codes.entries()) {
      assert.equal(await ranks[rank]!.exit(), code, ranks[rank]!.stderr);
    }
    const ms = performance.now() - begin;
    assert.ok(ms < TIMEOUT_MS + END_MS, `${ms} ms`);
    if (codes.length === 1) assert.match(ranks[0]!.stderr, /rank 0 of 3: lost rank [12] \(127/);
    assert.equal(existsSync(runs.run(id).path), false, 'a run that never began leaves a folder');
  });
}
