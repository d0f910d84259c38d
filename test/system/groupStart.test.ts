/** A rank that is stopped or frozen while all of a group wait for teachers at its start. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { GroupRuns } from '../support/training/groupRuns.js';

const TIMEOUT_MS = 4000;
const SETTINGS = [
  // Nobody is there.
  ...['teacher.addresses=["127.0.0.1:1"]', 'teacher.teacherTimeoutMs=300000'],
  ...[`distributed.timeoutMs=${TIMEOUT_MS}`, 'distributed.perMachine=2'],
];
/** Beyond distributed.timeoutMs, to end on a busy machine. */
const END_MS = 10_000;

let runs: GroupRuns;
before(async () => {
  runs = await GroupRuns.open(0);
});
afterEach(() => runs?.killAll());
after(() => runs?.close());

for (const { what, signal, code } of [
  { what: 'stopped', signal: 'SIGTERM', code: 143 },
  { what: 'frozen', signal: 'SIGSTOP', code: 8 },
] as const) {
  test(`a rank is ${what} while all wait for teachers: the other ends in time, and leaves no folder`, async () => {
    const ranks = await runs.ranks(what, 2, SETTINGS);
    const [first, second] = ranks;
    // A follower serves its metrics when all have joined.
    await second!.says(/"url":"/);
    const begin = performance.now();
    second!.signal(signal);
    assert.equal(await first!.exit(), code, first!.stderr);
    const ms = performance.now() - begin;
    assert.ok(ms < TIMEOUT_MS + END_MS, `${ms} ms`);
    if (code === 8) assert.match(first!.stderr, /rank 0 of 2: lost rank 1 \(127/);
    else assert.equal(await second!.exit(), code, second!.stderr);
    assert.equal(existsSync(runs.run(what).path), false);
  });
}
