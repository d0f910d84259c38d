/** Rank 0 is killed between the last step and the report: what is missing is written, with the others or without them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { freeAddresses } from '../../services/student/group/freeAddresses.js';
import { GroupRuns } from '../support/training/groupRuns.js';
import type { TrainedRun } from '../support/training/trainedRun.js';

const STEPS = 2;
const SETTINGS = [
  ...[`train.steps=${STEPS}`, 'train.learningRate=0.02', 'data.val.samples=5'],
  ...['evaluate.pictures=5', 'distributed.perMachine=2'],
];

let runs: GroupRuns;
let undisturbed: TrainedRun;

before(async () => {
  runs = await GroupRuns.open(1);
  undisturbed = await runs.train('undisturbed', ...SETTINGS, '--workers', '2');
});
afterEach(() => runs?.killAll());
after(() => runs?.close());

const hasReport = ({ path }: TrainedRun) =>
  existsSync(join(path, 'report.html')) && existsSync(join(path, 'summary.json'));

/** Ends when the last step is done and saved, and the report isn't there. */
async function killRank0BeforeReport(id: string): Promise<void> {
  const ranks = await runs.ranks(id, 2, SETTINGS);
  const [first, second] = ranks;
  first!.child.stderr!.on('data', () => {
    if (/training has ended on all ranks/.test(first!.stderr)) first!.signal('SIGKILL');
  });
  assert.equal(await first!.exit(), null, first!.stderr);
  // It waits for the report.
  assert.equal(await second!.exit(), 8, second!.stderr);
  assert.match(second!.stderr, /lost rank 0 /);
  assert.deepEqual(runs.run(id).checkpoints(), [STEPS]);
  assert.equal(hasReport(runs.run(id)), false, 'the kill came too late to show anything');
}

function assertWhole(run: TrainedRun): void {
  assert.ok(hasReport(run));
  assert.deepEqual(run.timeless('evaluation'), undisturbed.timeless('evaluation'));
  assert.deepEqual(run.timeless('end'), [{ kind: 'end', step: STEPS }]);
  assert.deepEqual(run.state(STEPS), undisturbed.state(STEPS));
}

test('all ranks are started again: they end well, and the report is there', async () => {
  await killRank0BeforeReport('all');
  for (const rank of await runs.ranks('all', 2, [...SETTINGS, '--resume'])) {
    assert.equal(await rank.exit(), 0, rank.stderr);
  }
  assertWhole(runs.run('all'));
});

test('rank 0 alone is started again: it waits for a while, and writes the report by itself', async () => {
  await killRank0BeforeReport('alone');
  const settings = [...SETTINGS, 'distributed.startTimeoutMs=4000', '--resume'];
  const workers = `distributed.workers=${JSON.stringify(await freeAddresses(2))}`;
  const rank0 = runs.student('alone', workers, 'distributed.index=0', ...settings);
  assert.equal(await rank0.exit(), 0, rank0.stderr);
  assert.match(rank0.stderr, /the other ranks are gone: rank 0 writes what is missing/);
  assertWhole(runs.run('alone'));
});
