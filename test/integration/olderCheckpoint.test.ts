/** A checkpoint of an earlier version of this project (test/fixtures/olderRun/make.sh) is resumed. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { type StepEvent, TrainedRun } from '../support/training/trainedRun.js';

const FIXTURE = fileURLToPath(new URL('../fixtures/olderRun/', import.meta.url));
/** The teacher of the older run; a simulated teacher's answers and digest follow from its settings. */
const TEACHER = ['simulate.featureChannels=4', 'simulate.classes=12', 'simulate.latencyMs=0'];

let folder: string;
let teacher: TeacherProcess;
let address: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cirkd-older-'));
  cpSync(join(FIXTURE, 'older'), join(folder, 'older'), { recursive: true });
  const settings = TEACHER.flatMap((one) => ['--set', one]);
  teacher = new TeacherProcess('--simulate', '--port', '0', ...settings);
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
});
afterEach(() => {
  teacher.kill();
  rmSync(folder, { recursive: true });
});

/** `--resume` with the config.yaml that the older version wrote; it has a key that is gone since. */
function resume(...args: string[]): CirkdProcess {
  const settings = args.filter((one) => one.includes('='));
  const sets = [
    ...[`run.directory=${folder}`, `teacher.addresses=["${address}"]`, 'metrics.port=0'],
    ...settings,
  ].flatMap((one) => ['--set', one]);
  return new CirkdProcess(
    'student',
    '--config',
    join(FIXTURE, 'older/config.yaml'),
    ...sets,
    ...['--resume', ...args.filter((one) => !one.includes('='))],
  );
}

/** @param bound of the terms' relative errors */
async function assertGoesOn(student: CirkdProcess, bound: number): Promise<void> {
  assert.equal(await student.exit(), 0, student.stderr);
  const run = new TrainedRun(folder, 'older');
  assert.deepEqual(run.checkpoints(), [2, 4]);
  const done = run.steps();
  assert.deepEqual(
    done.map(({ step }) => step),
    [1, 2, 3, 4],
  );
  const lines = readFileSync(join(FIXTURE, 'laterSteps.jsonl'), 'utf8').trim().split('\n');
  const wanted = lines.map((line) => JSON.parse(line) as StepEvent);
  for (const [index, { samples, terms }] of done.slice(2).entries()) {
    assert.deepEqual(samples, wanted[index]!.samples);
    assert.deepEqual(Object.keys(terms), Object.keys(wanted[index]!.terms));
    for (const [name, value] of Object.entries(wanted[index]!.terms)) {
      const error = Math.abs(terms[name]! - value) / value;
      assert.ok(
        error < bound,
        `step ${index + 3}, ${name}: ${terms[name]}, the older version had ${value}`,
      );
    }
  }
}

test('a run of an earlier version goes on where it stopped, with the losses that it would have had', async () => {
  // Equal bit for bit on the machine that made the fixture; another processor's kernels round differently.
  await assertGoesOn(resume(), 1e-4);
});

test('a group goes on with a run of an earlier version, which knew of none', async () => {
  // The switches say nothing of one process, so a run of one may get any.
  const global = ['distributed.minibatch=batch', 'distributed.labelledMean=batch'];
  // Sums in another order at a rate that trains: 8e-5 in the second step on the machine that made the fixture.
  await assertGoesOn(resume(...global, '--workers', '2'), 2e-3);
});

test('what an older run fixed stays fixed, and so does its teacher', async () => {
  const changed = resume('loss.kdTemperature=2');
  assert.equal(await changed.exit(), 2);
  assert.match(changed.stderr, /loss\.kdTemperature: was 1, is 2/);
  // A key that the older version didn't have counts as having had its default.
  const newer = resume('loss.weights.fitnet=10');
  assert.equal(await newer.exit(), 2);
  assert.match(newer.stderr, /loss\.weights\.fitnet: was 0, is 10/);
});
