/** The compared methods' and the channel terms, with their official weights, through a real teacher process. */
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
const BANK_ROWS = 48;
const WEIGHTS = {
  ...{ minibatch_pixel: 0, memory_pixel: 0, memory_region: 0 },
  ...{ minibatch_channel: 1, memory_channel: 0.1, channel_mse: 100 },
  ...{ attention_transfer: 10_000, fitnet: 10, skd_pairwise: 10, ifvd: 20 },
  ...{ cwd_feature: 50, cwd_logits: 3, dsd_psd: 1000, dsd_csd: 10 },
};
const COMPARED = Object.entries(WEIGHTS).flatMap(([term, weight]) => (weight > 0 ? [term] : []));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-compared-'));
const students: CirkdProcess[] = [];
let teacher: TeacherProcess;
let config: string;
let address: string;

function student(id: string, settings: readonly string[], ...more: string[]): CirkdProcess {
  const weights = Object.entries(WEIGHTS).map(([term, weight]) => `loss.weights.${term}=${weight}`);
  const all = [
    ...[`run.id=${id}`, `teacher.addresses=["${address}"]`, `train.steps=${STEPS}`],
    // Another width than the teacher's, so that CWD has its convolution.
    ...[`memory.channelMemorySize=${BANK_ROWS}`, 'memory.channelContrastSize=32'],
    ...['student.widthMultiplier=0.25', 'train.learningRate=0.001', ...weights, ...settings],
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
  test(`${STEPS} steps with every term, ${encoding}: each is finite, reported, and taught`, async () => {
    const run = student(encoding, [`teacher.encoding=${encoding}`]);
    assert.equal(await run.exit(), 0, run.stderr);
    const steps = terms(encoding);
    assert.equal(steps.length, STEPS);
    for (const step of steps) {
      assert.deepEqual(Object.keys(step), ['task', 'logits_kd', ...COMPARED, 'total']);
      for (const [term, value] of Object.entries(step)) {
        assert.ok(Number.isFinite(value) && value > 0, `${term}: ${value}`);
      }
    }
    const mean = (part: typeof steps) => part.reduce((sum, { total }) => sum + total!, 0) / 5;
    const [first, last] = [mean(steps.slice(0, 5)), mean(steps.slice(-5))];
    assert.ok(last < first, `total: ${first} at first, ${last} at last`);
    const banks = readFileSync(join(lastCheckpoint(encoding), 'banks.safetensors'));
    const fill = parseSafetensors(banks).tensors.get('channel_fill')!;
    assert.equal(Buffer.from(fill.data).readInt32LE(), BANK_ROWS);
    const report = readFileSync(join(folder, encoding, 'report.html'), 'utf8');
    for (const term of COMPARED) assert.ok(report.includes(term), `report: no ${term}`);
    assert.deepEqual(
      [...finalState(encoding).keys()],
      ['banks', 'channel_projection_head', 'optimizer', 'student', 'term_convolutions'].map(
        (file) => `${file}.safetensors`,
      ),
    );
  });
}

test('kill -9 and --resume with trained convolutions, channel head and bank: the same bytes', async () => {
  const first = student('killed', ['teacher.encoding=fp16']);
  await first.says(new RegExp(`step 9/${STEPS} `));
  first.signal('SIGKILL');
  assert.equal(await first.exit(), null, first.stderr);
  assert.ok(!existsSync(lastCheckpoint('killed')), 'it had come to its end');
  const second = student('killed', ['teacher.encoding=fp16'], '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  assert.deepEqual(terms('killed'), terms('fp16'));
  assert.deepEqual(finalState('killed'), finalState('fp16'));
  const file = readFileSync(join(lastCheckpoint('killed'), 'term_convolutions.safetensors'));
  const names = [...parseSafetensors(file).tensors.keys()];
  assert.deepEqual(
    names.sort(),
    ['cwd_feature', 'fitnet'].map((term) => `term_convolutions.${term}.weight`),
  );
});

test('graph convolution before the terms: trained, saved, and the same bytes after kill -9 and --resume', async () => {
  const settings = ['teacher.encoding=fp16', 'loss.graphConvolution=true'];
  const whole = student('graph', settings);
  assert.equal(await whole.exit(), 0, whole.stderr);
  const name = 'graph_convolution.safetensors';
  assert.ok(finalState('graph').has(name), [...finalState('graph').keys()].join());
  assert.notDeepEqual(terms('graph')[0], terms('fp16')[0]);
  const first = student('graph-killed', settings);
  await first.says(new RegExp(`step 9/${STEPS} `));
  first.signal('SIGKILL');
  assert.equal(await first.exit(), null, first.stderr);
  assert.ok(!existsSync(lastCheckpoint('graph-killed')), 'it had come to its end');
  const second = student('graph-killed', settings, '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  assert.deepEqual(terms('graph-killed'), terms('graph'));
  assert.deepEqual(finalState('graph-killed'), finalState('graph'));
  const weights = (step: number) => {
    return parseSafetensors(readFileSync(runOf('graph').checkpointFile(step, name))).tensors;
  };
  const [before, after] = [weights(STEPS - 2), weights(STEPS)];
  for (const [tensor, { data }] of after) {
    // Every weight and statistic moved.
    assert.notDeepEqual(Buffer.from(before.get(tensor)!.data), Buffer.from(data), tensor);
  }
  assert.ok(after.size > 10, `${after.size} tensors`);
});
