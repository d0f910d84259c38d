/** A run with AdamW, class weights and OHEM, whole and resumed: the same bytes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-adamw-'));
const LAST_STEP = 7;
let config: string;
let teacher: TeacherProcess;
let address: string;

before(async () => {
  config = tinyStudent(folder);
  teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder), '--set', 'threads=2');
  await teacher.ready();
  address = `teacher.addresses=["127.0.0.1:${(await teacher.listening()).grpcPort}"]`;
});
after(() => {
  teacher.kill();
  rmSync(folder, { recursive: true });
});

const WEIGHTS = JSON.stringify(Array.from({ length: 12 }, (_, k) => 0.5 + k / 4));

function student(id: string, ...more: string[]): CirkdProcess {
  const settings = [
    ...[`run.id=${id}`, address, 'train.optimizer=adamw', 'train.learningRate=0.001'],
    ...['train.headRateFactor=10', 'train.decayVectors=false', 'train.weightDecay=0.01'],
    ...[`loss.classWeights=${WEIGHTS}`, 'loss.ohem={threshold: 0.7, minKept: 500}'],
  ];
  const set = settings.flatMap((one) => ['--set', one]);
  return new CirkdProcess('student', '--config', config, ...set, ...more);
}

test('killed with -9 and resumed, the run ends with the state of a whole one', async () => {
  const whole = student('whole');
  assert.equal(await whole.exit(), 0, whole.stderr);
  const wanted = new TrainedRun(folder, 'whole');
  for (const { terms } of wanted.steps()) {
    assert.ok(Object.values(terms).every(Number.isFinite), JSON.stringify(terms));
  }
  const names = [...wanted.state(LAST_STEP).keys()];
  for (const kind of ['mean.', 'square.']) {
    assert.ok(
      names.some((name) => name.includes(`${kind}project_head.`)),
      `${kind}: not saved`,
    );
  }
  const first = student('killed');
  await first.says(/step 4\/7 /);
  first.signal('SIGKILL');
  assert.equal(await first.exit(), null);
  const second = student('killed', '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  const got = new TrainedRun(folder, 'killed');
  assert.deepEqual(got.state(LAST_STEP), wanted.state(LAST_STEP));
  assert.deepEqual(
    got.steps().map(({ step, terms }) => ({ step, terms })),
    wanted.steps().map(({ step, terms }) => ({ step, terms })),
  );
  const other = student(
    'killed',
    '--resume',
    '--set',
    'train.optimizer=sgd',
    '--set',
    'train.headRateFactor=1',
    '--set',
    'train.decayVectors=true',
  );
  assert.equal(await other.exit(), 2, other.stderr);
  assert.match(other.stderr, /train\.optimizer: was "adamw", is "sgd"/);
});
