/** SKD with its official weights, discriminator included, through a real teacher process. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { parseSafetensors } from '../../src/wire/safetensors.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const STEPS = 20;
/** The smallest crop for the discriminator, at stride 8. */
const CROP = 505;
const SKD = [
  ...['minibatch_pixel=0', 'memory_pixel=0', 'memory_region=0', 'logits_kd=1'],
  ...['skd_pairwise=10', 'skd_holistic=0.001'],
].map((weight) => `loss.weights.${weight}`);
const TERMS = ['task', 'logits_kd', 'skd_pairwise', 'skd_holistic', 'skd_discriminator', 'total'];

const folder = mkdtempSync(join(tmpdir(), 'cirkd-adversarial-'));
const students: CirkdProcess[] = [];
let teacher: TeacherProcess;
let config: string;
let address: string;

function student(id: string, settings: readonly string[], ...more: string[]): CirkdProcess {
  const all = [
    ...[`run.id=${id}`, `teacher.addresses=["${address}"]`, `train.steps=${STEPS}`, ...SKD],
    ...[`data.crop.height=${CROP}`, `data.crop.width=${CROP}`, 'train.learningRate=0.001'],
    ...settings,
  ];
  const process = new CirkdProcess(
    'student',
    ...['--config', config, ...all.flatMap((one) => ['--set', one])],
    ...more,
  );
  students.push(process);
  return process;
}

const runOf = (id: string) => new TrainedRun(folder, id);
const lastCheckpoint = (id: string) => runOf(id).checkpointFile(STEPS, '');
const finalState = (id: string) => runOf(id).files(STEPS);

const terms = (id: string) =>
  runOf(id)
    .steps()
    .map((step) => step.terms);

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

before(async () => {
  config = tinyStudent(folder);
  teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder), '--set', 'threads=1');
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
});
afterEach(() => {
  for (const process of students.splice(0)) process.kill();
});
after(() => {
  teacher?.kill();
  rmSync(folder, { recursive: true });
});

for (const encoding of ['int8', 'fp16', 'fp32'] as const) {
  test(`${STEPS} steps, ${encoding}: both losses are finite and reported, the discriminator learns`, async () => {
    const run = student(encoding, [`teacher.encoding=${encoding}`]);
    assert.equal(await run.exit(), 0, run.stderr);
    const steps = terms(encoding);
    assert.equal(steps.length, STEPS);
    for (const step of steps) {
      assert.deepEqual(Object.keys(step), TERMS);
      for (const [term, value] of Object.entries(step)) {
        assert.ok(Number.isFinite(value), `${term}: ${value}`);
      }
    }
    const own = steps.map((step) => step['skd_discriminator']!);
    const [first, last] = [mean(own.slice(0, 5)), mean(own.slice(-5))];
    // 2 where it can't tell, at first.
    assert.ok(Math.abs(own[0]! - 2) < 0.3, `${own[0]}`);
    assert.ok(last < first - 0.05, `discriminator: ${first} at first, ${last} at last`);
    const report = readFileSync(join(folder, encoding, 'report.html'), 'utf8');
    for (const term of TERMS) assert.ok(report.includes(term), `report: no ${term}`);
    assert.deepEqual(
      [...finalState(encoding).keys()],
      ['discriminator', 'optimizer', 'student'].map((file) => `${file}.safetensors`),
    );
  });
}

test('kill -9 and --resume with a discriminator as WGAN-GP and AdamW: the same bytes', async () => {
  const settings = [
    ...['teacher.encoding=fp16', 'train.optimizer=adamw', 'train.learningRate=0.0002'],
    ...['loss.discriminator.kind=wgan-gp', 'loss.discriminator.polyPower=0.9'],
  ];
  const undisturbed = student('undisturbed', settings);
  assert.equal(await undisturbed.exit(), 0, undisturbed.stderr);
  const first = student('killed', settings);
  await first.says(new RegExp(`step 9/${STEPS} `));
  first.signal('SIGKILL');
  assert.equal(await first.exit(), null, first.stderr);
  assert.ok(!existsSync(lastCheckpoint('killed')), 'it had come to its end');
  const second = student('killed', settings, '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  assert.deepEqual(terms('killed'), terms('undisturbed'));
  assert.deepEqual(finalState('killed'), finalState('undisturbed'));
  const read = (name: string) =>
    parseSafetensors(readFileSync(join(lastCheckpoint('killed'), `${name}.safetensors`))).tensors;
  assert.equal(read('discriminator').size, 26 + 2 + 4);
  const moments = [...read('optimizer').keys()].filter((name) => name.includes('.discriminator.'));
  assert.equal(moments.length, 2 * 26);
});

test("a resumed run can't change how the discriminator is trained: exit 2, by name", async () => {
  const settings = ['teacher.encoding=fp16', 'loss.discriminator.learningRate=0.001'];
  const run = student('fp16', settings, '--resume');
  assert.equal(await run.exit(), 2, run.stderr);
  assert.match(run.stderr, /loss\.discriminator\.learningRate: was 0\.0004, is 0\.001/);
});

test('a crop that is too small for it: exit 2, by name', async () => {
  const run = student('small', ['data.crop.height=504']);
  assert.equal(await run.exit(), 2, run.stderr);
  assert.match(run.stderr, /data\.crop\.height: got 504, wanted at least 505/);
});
