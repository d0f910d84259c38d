/** A student of a teacher without a feature, as processes: what it trains on, says, saves and resumes. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const STEPS = 20;
const LEFT_OUT = {
  terms: ['minibatch_pixel', 'memory_pixel', 'memory_region'],
  reason: 'teacher simulated provides no feature',
};
const folder = mkdtempSync(join(tmpdir(), 'cirkd-featureless-'));
const students: CirkdProcess[] = [];
let teacher: TeacherProcess;
let config: string;
let address: string;
let undisturbed: Map<string, string>;

function simulated(...settings: string[]): TeacherProcess {
  const all = ['simulate.classes=12', 'simulate.featureChannels=0', 'simulate.latencyMs=0'];
  return new TeacherProcess(
    '--simulate',
    ...[...all, ...settings].flatMap((one) => ['--set', one]),
  );
}

function student(id: string, ...more: string[]): CirkdProcess {
  const settings = [`run.id=${id}`, `teacher.addresses=["${address}"]`, `train.steps=${STEPS}`];
  const process = new CirkdProcess(
    'student',
    ...['--config', config, ...settings.flatMap((one) => ['--set', one])],
    ...more,
  );
  students.push(process);
  return process;
}

const runOf = (id: string) => new TrainedRun(folder, id);
const lastCheckpoint = (id: string) => runOf(id).checkpointFile(STEPS, '');
const finalState = (id: string) => runOf(id).files(STEPS);

const events = (id: string, kind: string): Record<string, unknown>[] =>
  runOf(id)
    .events()
    .filter((event) => event.kind === kind)
    .map((event) => ({ ...event }));

const warnings = ({ stderr }: CirkdProcess) => stderr.match(/terms left out/g)?.length ?? 0;

before(async () => {
  config = tinyStudent(folder);
  teacher = simulated('warmUp=[[48,64]]');
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
  const whole = student('whole', '--set', 'metrics.lingerMs=60000');
  const text = await metricsAtTheEnd(whole);
  // A term that isn't there has no value: a 0 would look like one that was computed.
  const terms = [...text.matchAll(/^cirkd_student_loss\{.*term="(\w+)".*\}/gm)].map(
    ([, term]) => term,
  );
  assert.deepEqual(terms, ['task', 'logits_kd', 'total']);
  assert.doesNotMatch(text, /^cirkd_.*bank.*\{/m);
  assert.equal(warnings(whole), 1, whole.stderr);
  undisturbed = finalState('whole');
});
afterEach(() => {
  for (const process of students.splice(0)) process.kill();
});
after(() => {
  teacher?.kill();
  rmSync(folder, { recursive: true });
});

/** The last scrape of a run that lingers after its end; ends it. */
async function metricsAtTheEnd(process: CirkdProcess): Promise<string> {
  await process.says(/report\.html/);
  const url = /"url":"([^"]+)"|(http:\S+\/metrics)/.exec(process.stderr);
  const text = await (await fetch((url?.[1] ?? url?.[2])!)).text();
  process.signal('SIGTERM');
  await process.exit();
  return text;
}

test('20 steps with task and logits_kd, without banks; reported once in log, events and report', () => {
  const steps = events('whole', 'step');
  assert.equal(steps.length, STEPS);
  for (const { terms } of steps as { terms: Record<string, number> }[]) {
    assert.deepEqual(Object.keys(terms), ['task', 'logits_kd', 'total']);
    assert.ok(Object.values(terms).every(Number.isFinite), JSON.stringify(terms));
  }
  assert.deepEqual([...undisturbed.keys()], ['optimizer.safetensors', 'student.safetensors']);
  const starts = events('whole', 'start');
  assert.deepEqual(
    starts.map(({ leftOut }) => leftOut),
    [LEFT_OUT],
  );
  const report = readFileSync(join(folder, 'whole', 'report.html'), 'utf8');
  assert.match(report, /Terms left out/);
  assert.match(report, /minibatch_pixel,memory_pixel,memory_region/);
});

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`${signal} and --resume: the same bytes`, async () => {
    const id = signal.toLowerCase();
    const first = student(id);
    await first.says(new RegExp(`step 9/${STEPS} `));
    first.signal(signal);
    assert.equal(await first.exit(), signal === 'SIGTERM' ? 143 : null, first.stderr);
    assert.ok(!existsSync(lastCheckpoint(id)), 'it had come to its end');
    const second = student(id, '--resume');
    assert.equal(await second.exit(), 0, second.stderr);
    assert.equal(warnings(second), 1, second.stderr);
    assert.deepEqual(finalState(id), undisturbed);
  });
}

test('labels from such a teacher; with the weights at 0 there is no warning', async () => {
  const weights = LEFT_OUT.terms.map((term) => `loss.weights.${term}=0`);
  const settings = [...weights, 'data.train.labels=teacher', 'train.steps=3'];
  const taught = student('labels', ...settings.flatMap((one) => ['--set', one]));
  assert.equal(await taught.exit(), 0, taught.stderr);
  assert.equal(warnings(taught), 0, taught.stderr);
  assert.equal(events('labels', 'step').length, 3);
});

test('a student that rebuilds logits is refused with exit code 4 and what to set', async () => {
  const rebuilding = student('rebuilt', '--set', 'teacher.logits=rebuilt');
  assert.equal(await rebuilding.exit(), 4, rebuilding.stderr);
  assert.match(rebuilding.stderr, /provides no feature: .* set teacher\.logits: sent/);
  assert.ok(!existsSync(join(folder, 'rebuilt')), 'its folder was left');
});

/** One is refused by the teacher, the other by the student, as the teacher has the logits that it asks for. */
for (const term of ['attention_transfer', 'dsd_psd']) {
  test(`a student with ${term} alone is refused with exit code 4, naming the term and its output`, async () => {
    const off = ['logits_kd', ...LEFT_OUT.terms].map((each) => `loss.weights.${each}=0`);
    const settings = [...off, `loss.weights.${term}=1`];
    const useless = student(`useless-${term}`, ...settings.flatMap((one) => ['--set', one]));
    assert.equal(await useless.exit(), 4, useless.stderr);
    const reason = new RegExp(
      `wanted a feature, .*: loss\\.weights\\.${term} needs feature_norm; `,
    );
    assert.match(useless.stderr, reason);
    assert.ok(!existsSync(join(folder, `useless-${term}`)), 'its folder was left');
  });
}

test('a teacher with a feature beside it is refused', async () => {
  const other = simulated('simulate.featureChannels=16');
  try {
    await other.ready();
    const { grpcPort } = await other.listening();
    const both = `teacher.addresses=["${address}","127.0.0.1:${grpcPort}"]`;
    // Which of the two is first decides; the digest keeps it the one without.
    const { teacher: info } = events('whole', 'start')[0] as { teacher: { digest: string } };
    const mixed = student('mixed', '--set', both, '--set', `teacher.digest=${info.digest}`);
    assert.equal(await mixed.exit(), 0, mixed.stderr);
    assert.match(mixed.stderr, /digest: teacher .* the student's is/);
    assert.deepEqual(finalState('mixed'), undisturbed);
  } finally {
    other.kill();
  }
});

test('cirkd evaluate --teacher scores a teacher without a feature', async () => {
  const scored = new CirkdProcess(
    ...(['evaluate', '--teacher', address, '--data', 'synthetic', '--samples', '2'] as const),
  );
  students.push(scored);
  assert.equal(await scored.exit(), 0, scored.stderr);
  assert.match(scored.stdout, /mIoU|mean IoU/);
});
