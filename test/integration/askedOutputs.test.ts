/** What travels from a real teacher process follows from the student's terms: outputs and bytes. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { TeacherTerm } from '../../src/contract/terms.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { eventually } from '../support/eventually.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';

const STEPS = 3;
const BATCH = 2;
/** Of a crop of 48 x 64 at stride 8. */
const POSITIONS = 6 * 8;
const CLASSES = 12;
/** 128 at an eighth of the width. */
const CHANNELS = 16;

/** With an auxiliary head, as the official networks for ResNets have it. */
const NETWORK = { model: 'psp', backbone: 'resnet18', widthMultiplier: 0.125 } as const;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-outputs-'));
const students: CirkdProcess[] = [];
let teacher: TeacherProcess;
let address: string;
let metricsUrl: string;
let config: string;

before(async () => {
  config = tinyStudent(folder);
  const model = tinyTeacher(folder, { network: NETWORK });
  teacher = new TeacherProcess('--checkpoint', model, '--set', 'threads=1');
  await teacher.ready();
  const listening = await teacher.listening();
  address = `127.0.0.1:${listening.grpcPort}`;
  metricsUrl = listening.metricsUrl;
});
afterEach(() => {
  for (const process of students.splice(0)) process.kill();
});
after(() => {
  teacher?.kill();
  rmSync(folder, { recursive: true });
});

function student(
  id: string,
  weights: Partial<Record<TeacherTerm, number>>,
  ...settings: string[]
): CirkdProcess {
  const terms = ['logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'] as const;
  const all = { ...Object.fromEntries(terms.map((term) => [term, 0])), ...weights };
  const sets = [
    ...[`run.id=${id}`, `teacher.addresses=["${address}"]`, `train.steps=${STEPS}`],
    ...[`train.batchSize=${BATCH}`, 'student.model=psp', 'student.backbone=resnet18'],
    // Until the test has scraped it.
    'metrics.lingerMs=600000',
    ...Object.entries(all).map(([term, weight]) => `loss.weights.${term}=${weight}`),
    ...settings,
  ];
  const flags = ['--config', config, ...sets.flatMap((one) => ['--set', one])];
  const process = new CirkdProcess('student', ...flags);
  students.push(process);
  return process;
}

/** The sum of a metric's samples. */
async function total(url: string, metric: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const samples = text.split('\n').filter((line) => line.startsWith(metric));
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const SENT = 'cirkd_teacher_sent_bytes_total';

const CASES: readonly {
  readonly name: string;
  readonly weights: Partial<Record<TeacherTerm, number>>;
  readonly outputs: readonly string[];
  /** Bytes at each position. */
  readonly bytes: number;
  readonly settings?: readonly string[];
}[] = [
  {
    name: 'cirkd',
    weights: { logits_kd: 1, minibatch_pixel: 1, memory_pixel: 0.1, memory_region: 0.1 },
    outputs: ['logits fp16', 'embedding fp16'],
    bytes: 2 * CLASSES + 2 * CHANNELS,
  },
  {
    name: 'logits',
    weights: { logits_kd: 1, dsd_csd: 10 },
    outputs: ['logits fp16'],
    bytes: 2 * CLASSES,
  },
  {
    name: 'norms',
    weights: { attention_transfer: 10_000 },
    outputs: ['feature_norm fp32'],
    bytes: 4,
  },
  {
    name: 'feature-int8',
    weights: { fitnet: 10 },
    outputs: ['embedding int8', 'embedding_scale fp32', 'feature_norm fp32'],
    bytes: CHANNELS + 4 + 4,
    settings: ['teacher.encoding=int8'],
  },
  {
    name: 'dsd',
    weights: { dsd_psd: 1000 },
    outputs: ['logits fp16', 'feature_norm fp32', 'aux_norm fp32'],
    bytes: 2 * CLASSES + 4 + 4,
  },
];

for (const { name, weights, outputs, bytes, settings = [] } of CASES) {
  test(`${Object.keys(weights).join(', ')}: ${outputs.join(', ')}, and no byte more`, async () => {
    const before = await total(metricsUrl, SENT);
    const run = student(name, weights, ...settings);
    const [, url = ''] = await run.says(/"url":"([^"]+)"/);
    await run.says(/"msg":"report"/);
    const wanted = STEPS * BATCH * POSITIONS * bytes;
    assert.equal(await total(url, 'cirkd_student_received_bytes_total'), wanted);
    assert.equal((await total(metricsUrl, SENT)) - before, wanted);
    assert.ok(run.stderr.includes(`"outputs":${JSON.stringify(outputs)}`), run.stderr);
    const events = readFileSync(join(folder, name, 'events.jsonl'), 'utf8').split('\n');
    const steps = events
      .filter((line) => line.includes('"kind":"step"'))
      .map((one) => JSON.parse(one));
    assert.equal(steps.length, STEPS);
    for (const { terms } of steps) {
      assert.deepEqual(Object.keys(terms), ['task', ...Object.keys(weights), 'total']);
      for (const [term, value] of Object.entries(terms)) {
        assert.ok(Number.isFinite(value) && (value as number) > 0, `${term}: ${value}`);
      }
    }
  });
}

test('no term of the teacher has a weight: nobody is asked, and the run counts as a baseline', async () => {
  const before = await total(metricsUrl, SENT);
  const run = student('alone', {}, 'metrics.lingerMs=0');
  assert.equal(await run.exit(), 0, run.stderr);
  assert.match(run.stderr, /no term uses the teachers: they are not asked/);
  assert.equal(await total(metricsUrl, SENT), before);
  const summary = join(folder, 'alone', 'summary.json');
  await eventually(() => existsSync(summary));
  assert.ok('baseline' in JSON.parse(readFileSync(summary, 'utf8')));
});
