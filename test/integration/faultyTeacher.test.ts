/** Teachers that die or answer NaN in mid-run, and a loss that overflows: the state is kept. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { syntheticStreets } from '../../src/data/syntheticStreets.js';
import { crc32c } from '../../src/wire/crc32c.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { type Chunk, type Script, ScriptedTeacher } from '../support/teachers/scriptedTeacher.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-faulty-'));
const processes: { kill(): void }[] = [];
const LAST_STEP = 4;
const BATCH = 2;
let config: string;
let model: string;
let undisturbed: Map<string, string>;

function student(id: string, address: string, ...more: string[]): CirkdProcess {
  const settings = [
    ...[`run.id=${id}`, `teacher.addresses=["${address}"]`, `train.steps=${LAST_STEP}`],
    // The run's own checkpoints mustn't be mistaken for the one that its end saves.
    ...['run.checkpointEverySteps=0', 'evaluate.pictures=0', ...more],
  ];
  const flags = settings.flatMap((one) => (one[0] === '-' ? [one] : ['--set', one]));
  const process = new CirkdProcess('student', '--config', config, ...flags);
  processes.push(process);
  return process;
}

async function startTeacher(...settings: string[]): Promise<[TeacherProcess, string]> {
  const flags = ['threads=2', ...settings].flatMap((one) => ['--set', one]);
  const teacher = new TeacherProcess('--checkpoint', model, ...flags);
  processes.push(teacher);
  await teacher.ready();
  return [teacher, `127.0.0.1:${(await teacher.listening()).grpcPort}`];
}

before(async () => {
  config = tinyStudent(folder);
  model = tinyTeacher(folder);
  const [, address] = await startTeacher();
  const whole = student('whole', address);
  assert.equal(await whole.exit(), 0, whole.stderr);
  undisturbed = new TrainedRun(folder, 'whole').state(LAST_STEP);
});
afterEach(() => {
  for (const process of processes.splice(0)) process.kill();
});
after(() => rmSync(folder, { recursive: true }));

test('a teacher killed mid-run: exit code 3 and saved state; --resume with another gives the same weights', async () => {
  const [teacher, address] = await startTeacher();
  const first = student(
    'killed',
    address,
    'teacher.teacherTimeoutMs=10000',
    'teacher.prefetchSteps=0',
  );
  await first.says(/step 1\/4 /);
  teacher.signal('SIGKILL');
  assert.equal(await first.exit(), 3, first.stderr);
  assert.match(first.stderr, new RegExp(`cirkd: no teacher answered for 10000 ms: ${address} \\(`));
  const run = new TrainedRun(folder, 'killed');
  const [saved = 0, ...others] = run.checkpoints();
  assert.deepEqual(others, []);
  assert.ok(saved >= 1 && saved < LAST_STEP, `saved at ${saved}`);
  assert.equal(run.steps().at(-1)?.step, saved);
  const [, other] = await startTeacher();
  const second = student('killed', other, '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  assert.deepEqual(run.state(LAST_STEP), undisturbed);
});

test('NaN in every fifth answer: each is requested again, and the run gives the same weights', async () => {
  const [, address] = await startTeacher('faults.nonFiniteEvery=5');
  const disturbed = student('fifth', address);
  assert.equal(await disturbed.exit(), 0, disturbed.stderr);
  assert.match(disturbed.stderr, /"reason":"nonfinite".*non-finite/);
  assert.deepEqual(new TrainedRun(folder, 'fifth').state(LAST_STEP), undisturbed);
});

test('NaN in every answer: exit code 6, naming the image and the output', async () => {
  const [teacher, address] = await startTeacher('faults.nonFiniteEvery=1');
  const starved = student('always', address);
  assert.equal(await starved.exit(), 6, starved.stderr);
  const expected =
    /^cirkd: image \S+: 2 answers were not finite, the last from .*non-finite logits/m;
  assert.match(starved.stderr, expected);
  // No step was made: what the seed gives again isn't saved.
  assert.deepEqual(new TrainedRun(folder, 'always').checkpoints(), []);
  assert.equal(teacher.exitCode, undefined);
});

/** A server that never looks at its own numbers: every value 0.5, NaN where `broken` says. */
async function careless(broken: (image: number, attempt: number) => boolean) {
  const { length: classes } = syntheticStreets({
    ...{ split: 'train', samples: 1, seed: 1, height: 48, width: 96 },
  }).classNames;
  const order: string[] = [];
  const script: Script = {
    info: { classes },
    onImage(stream, image) {
      const key = `${image.sampleKey}${crc32c(image.rgb)}`;
      if (!order.includes(key)) order.push(key);
      const isBroken = broken(order.indexOf(key), image.attempt);
      return stream.answer(image, (chunk, index) => valued(chunk, isBroken && index === 0));
    },
  };
  return ScriptedTeacher.start(script);
}

function valued(chunk: Chunk, withNaN: boolean): Chunk {
  const half = chunk.dtype === 'DTYPE_FP16';
  const expected = half
    ? new Uint16Array(chunk.data.length / 2)
    : new Uint32Array(chunk.data.length / 4);
  expected.fill(half ? 0x3800 : 0x3f000000);
  if (withNaN) expected[0] = half ? 0x7e00 : 0x7fc00000;
  const data = Buffer.from(expected.buffer);
  return { ...chunk, data, crc32c: crc32c(data) };
}

test('NaN that only the student notices is requested again; the second time gives exit code 6', async () => {
  const teachers = [
    await careless(() => false),
    await careless((image, attempt) => image === BATCH && attempt === 0),
    await careless((image) => image >= 2 * BATCH),
  ];
  try {
    const [fine, once, always] = teachers.map(({ address }, i) =>
      student(`careless-${i}`, address),
    );
    assert.equal(await fine!.exit(), 0, fine!.stderr);
    assert.equal(await once!.exit(), 0, once!.stderr);
    assert.match(once!.stderr, /"reason":"nonfinite"/);
    const runs = [0, 1, 2].map((i) => new TrainedRun(folder, `careless-${i}`));
    assert.deepEqual(runs[1]!.state(LAST_STEP), runs[0]!.state(LAST_STEP));

    assert.equal(await always!.exit(), 6, always!.stderr);
    const named = runs[0]!.steps()[2]!.samples.join(', ');
    const expected = `step 2: teacher reply not finite, asked twice, for ${named}`;
    assert.ok(always!.stderr.includes(expected), always!.stderr);
    assert.deepEqual(runs[2]!.checkpoints(), [2]);
    assert.deepEqual(runs[2]!.nonFinite(2), []);
    assert.deepEqual(
      runs[2]!.steps().map(({ terms }) => terms),
      runs[0]!
        .steps()
        .slice(0, 2)
        .map(({ terms }) => terms),
    );
  } finally {
    for (const teacher of teachers) teacher.stop();
  }
});

test('a loss that overflows: exit code 6 with every term, and the last good state saved', async () => {
  const [, address] = await startTeacher();
  const wild = student('wild', address, 'train.learningRate=1.0e+12');
  assert.equal(await wild.exit(), 6, wild.stderr);
  const terms = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region', 'total'];
  const expected = terms.map((term) => `${term}=\\S+`).join(' ');
  assert.match(wild.stderr, new RegExp(`^cirkd: step \\d+: not finite: ${expected}`, 'm'));
  const run = new TrainedRun(folder, 'wild');
  const last = run.steps().at(-1)!.step;
  assert.deepEqual(run.checkpoints(), [last]);
  assert.deepEqual(run.nonFinite(last), []);
});
