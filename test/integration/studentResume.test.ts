import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { parseSafetensors } from '../../src/wire/safetensors.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-resume-'));
const students: CirkdProcess[] = [];
let teacher: TeacherProcess;
let config: string;
let address: string;
let undisturbed: Map<string, string>;

const LAST_STEP = 7;
const FILES = ['student', 'projection_head', 'optimizer', 'banks'];

function student(id: string, ...more: string[]): CirkdProcess {
  const process = new CirkdProcess(
    'student',
    ...['--config', config, '--set', `run.id=${id}`],
    ...['--set', `teacher.addresses=["${address}"]`],
    ...more,
  );
  students.push(process);
  return process;
}

/** Every tensor of the state after the last step, by file and name. */
function finalState(id: string): Map<string, string> {
  const checkpoint = join(folder, id, 'checkpoints', `step-${String(LAST_STEP).padStart(8, '0')}`);
  const state = new Map<string, string>();
  for (const file of FILES) {
    const { tensors } = parseSafetensors(readFileSync(join(checkpoint, `${file}.safetensors`)));
    for (const [name, { data }] of tensors) {
      state.set(`${file}: ${name}`, Buffer.from(data).toString('base64'));
    }
  }
  return state;
}

interface StepEvent {
  kind: string;
  step: number;
  samples: string[];
  terms: Record<string, number>;
}

function steps(id: string): StepEvent[] {
  const lines = readFileSync(join(folder, id, 'events.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as StepEvent).filter(({ kind }) => kind === 'step');
}

before(async () => {
  config = tinyStudent(folder);
  teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder), '--set', 'threads=2');
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
  const whole = student('whole');
  assert.equal(await whole.exit(), 0, whole.stderr);
  undisturbed = finalState('whole');
});
afterEach(() => {
  for (const process of students.splice(0)) process.kill();
});
after(() => {
  teacher.kill();
  rmSync(folder, { recursive: true });
});

test('each step of a run has every term, finite, and every batch is used once', () => {
  const done = steps('whole');
  assert.deepEqual(
    done.map(({ step }) => step),
    [1, 2, 3, 4, 5, 6, 7],
  );
  for (const { terms, samples } of done) {
    const names = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'];
    assert.deepEqual(Object.keys(terms), [...names, 'total']);
    assert.ok(Object.values(terms).every(Number.isFinite), JSON.stringify(terms));
    assert.equal(samples.length, 2);
  }
  assert.ok(undisturbed.size > 300, `${undisturbed.size} tensors`);
});

test('another prefetch depth and worker count give the same weights, bit for bit', async () => {
  const other = student(
    'other',
    ...['--set', 'teacher.prefetchSteps=4', '--set', 'data.workers=2'],
    ...['--set', 'data.prefetchBatches=1', '--set', 'data.cacheMiB=0'],
  );
  assert.equal(await other.exit(), 0, other.stderr);
  assert.deepEqual(finalState('other'), undisturbed);
});

for (const [killAt, id] of [
  [1, 'killed-before-any-checkpoint'],
  [4, 'killed-midway'],
] as const) {
  test(`kill -9 after step ${killAt} and --resume: the same weights, bit for bit`, async () => {
    const first = student(id);
    await first.says(new RegExp(`step ${killAt}/${LAST_STEP} `));
    first.signal('SIGKILL');
    assert.equal(await first.exit(), null);
    const second = student(id, '--resume');
    assert.equal(await second.exit(), 0, second.stderr);
    assert.deepEqual(finalState(id), undisturbed);
    const ledger = ({ step, samples, terms }: StepEvent) => ({ step, samples, terms });
    assert.deepEqual(steps(id).map(ledger), steps('whole').map(ledger));
  });
}

test('SIGTERM saves the state and gives exit code 143; --resume ends with the same weights', async () => {
  const first = student('stopped');
  await first.says(/step 3\/7 /);
  first.signal('SIGTERM');
  assert.equal(await first.exit(), 143);
  const saved = readdirSync(join(folder, 'stopped', 'checkpoints'))
    .sort()
    .at(-1);
  const at = steps('stopped').at(-1)!.step;
  assert.equal(saved, `step-${String(at).padStart(8, '0')}`);
  assert.ok(at < LAST_STEP, String(at));
  const second = student('stopped', '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  assert.deepEqual(finalState('stopped'), undisturbed);
});

test('SIGTERM while no teacher answers: exit code 143 at once, and nothing is left behind', async () => {
  const waiting = student('connecting', '--set', 'teacher.addresses=["127.0.0.1:1"]');
  await waiting.says(/127\.0\.0\.1:1/);
  waiting.signal('SIGTERM');
  // teacher.teacherTimeoutMs is two minutes.
  assert.equal(await waiting.exit(), 143, waiting.stderr);
  assert.ok(!existsSync(join(folder, 'connecting')));
});

test('--resume of a finished run reports its end once more, and only once', async () => {
  const kinds = () =>
    readFileSync(join(folder, 'whole', 'events.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => /"kind":"(evaluation|end)"/.test(line)).length;
  assert.equal(kinds(), 2);
  const again = student('whole', '--resume');
  assert.equal(await again.exit(), 0, again.stderr);
  assert.equal(kinds(), 2);
  assert.deepEqual(finalState('whole'), undisturbed);
});

test('a run folder in use is refused, naming the process that holds it', async () => {
  const long = ['--set', 'train.steps=5000'];
  const first = student('taken', ...long);
  await first.says(/step 1\/5000 /);
  const second = student('taken', '--resume', ...long);
  assert.equal(await second.exit(), 2);
  assert.match(second.stderr, new RegExp(`taken: in use by process ${first.child.pid}`));
  // As when its terminal is closed.
  first.signal('SIGHUP');
  assert.equal(await first.exit(), 143, first.stderr);
  assert.notDeepEqual(readdirSync(join(folder, 'taken', 'checkpoints')), []);
});

test('--resume refuses a change of a key that affects the result, and another teacher', async () => {
  const changed = student('whole', '--resume', '--set', 'train.learningRate=0.5');
  assert.equal(await changed.exit(), 2);
  assert.match(changed.stderr, /train\.learningRate: was 0\.02, is 0\.5/);
  const other = new TeacherProcess('--checkpoint', tinyTeacher(folder, { seed: 8 }));
  try {
    await other.ready();
    const { grpcPort } = await other.listening();
    const mixed = student(
      'whole',
      '--resume',
      '--set',
      `teacher.addresses=["127.0.0.1:${grpcPort}"]`,
    );
    assert.equal(await mixed.exit(), 4);
    assert.match(mixed.stderr, /^cirkd: .*digest/m);
  } finally {
    other.kill();
  }
});
