import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ContainedProcess } from '../support/deploy/containedProcess.js';
import { assembleImage, type ImageTree } from '../support/deploy/imageTree.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const LAST_STEP = 7;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-eviction-'));
const volume = join(folder, 'volume');
const started: ContainedProcess[] = [];
let image: ImageTree;
let teacher: ContainedProcess;
let address: string;

function start(...args: string[]): ContainedProcess {
  return new ContainedProcess(
    volume,
    image.node,
    ...[join(image.app, 'services/cli/bin.mjs'), ...args],
  );
}

/** The same command for the first start and any later one, as a Job has it. */
function student(id: string): ContainedProcess {
  const settings = [`run.directory=${volume}`, `run.id=${id}`, `teacher.addresses=["${address}"]`];
  const contained = start(
    ...['student', '--config', join(folder, 'student.yaml'), '--resume'],
    ...settings.flatMap((text) => ['--set', text]),
  );
  started.push(contained);
  return contained;
}

before(async () => {
  chmodSync(folder, 0o755);
  mkdirSync(volume);
  image = await assembleImage();
  tinyStudent(folder);
  teacher = start(
    ...['teacher', '--checkpoint', tinyTeacher(folder), '--set', 'threads=2'],
    ...['--port', '0', '--metrics-port', '0'],
  );
  await teacher.says(/teacher ready/);
  address = (await teacher.says(/"grpc":"([^"]+)"/))[1]!;
});
afterEach(() => {
  for (const contained of started.splice(0)) contained.kill();
});
after(() => {
  teacher?.kill();
  image?.close();
  rmSync(folder, { recursive: true });
});

test('evicted in the middle of a step, started again on its volume: the same end, bit for bit', async () => {
  const undisturbed = student('undisturbed');
  assert.equal(await undisturbed.exit(), 0, undisturbed.stderr);
  const evicted = student('evicted');
  // The next step computes by now: its crops and answers were under way before.
  await evicted.says(new RegExp(`step 3/${LAST_STEP} `));
  evicted.signal('SIGTERM');
  assert.equal(await evicted.exit(), 143, evicted.stderr);
  const run = new TrainedRun(volume, 'evicted');
  const saved = run.checkpoints().at(-1)!;
  assert.ok(saved >= 3 && saved < LAST_STEP, `saved after step ${saved}`);
  assert.equal(run.steps().at(-1)?.step, saved, 'the last step is the one that was saved');

  // Each container has a process 1: the first one's lock says nothing of the second.
  const again = student('evicted');
  assert.equal(await again.exit(), 0, again.stderr);
  const wanted = new TrainedRun(volume, 'undisturbed').state(LAST_STEP);
  assert.ok(wanted.size > 300, `${wanted.size} tensors`);
  assert.deepEqual(run.state(LAST_STEP), wanted);
  assert.deepEqual(
    run.steps().map(({ step }) => step),
    [1, 2, 3, 4, 5, 6, 7],
  );
});
