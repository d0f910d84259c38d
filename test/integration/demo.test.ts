import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode } from 'fast-png';
import { CIRKD_TERMS } from '../../src/contract/terms.js';
import { stepRecords } from '../../src/report/stepRecords.js';
import { readEvents } from '../../src/run/events.js';
import { eventually } from '../support/eventually.js';
import { processesThatMention } from '../support/processes.js';
import { writeUntrainedModel } from '../support/modelFiles/untrainedModel.js';

const BIN = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));
const STEPS = 4;
/** Of three processes with TensorFlow on a busy machine. */
const START_MS = 180_000;
const SMALL = [
  ...['data.train.samples=8', 'data.train.height=48', 'data.train.width=64', 'data.workers=1'],
  ...['data.val.samples=3', 'data.val.height=48', 'data.val.width=64', 'evaluate.pictures=2'],
  ...['data.crop.height=32', 'data.crop.width=48', 'train.batchSize=2', 'train.warmupSteps=0'],
  ...['memory.pixelMemorySize=50', 'memory.regionMemorySize=20'],
].flatMap((one) => ['--set', one]);

const folder = mkdtempSync(join(tmpdir(), 'cirkd-demo-'));
const model = join(folder, 'teacher.safetensors');
writeUntrainedModel(model, 0.125);
const running: ChildProcess[] = [];

after(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function startDemo(out: string, ...args: string[]) {
  const steps = ['--out', out, '--steps', String(STEPS), '--seed', '3'];
  const child = spawn(process.execPath, [BIN, 'demo', ...steps, ...SMALL, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  const demo = { child, stdout: '', stderr: '', code: undefined as number | null | undefined };
  child.stdout.on('data', (text) => {
    demo.stdout += text;
  });
  child.stderr.on('data', (text) => {
    demo.stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  void ended.then((code) => {
    demo.code = code;
  });
  /** Waits for a stage with all services running; throws if the demo ends first. */
  const reaches = (stage: string) =>
    eventually(() => {
      if (demo.code !== undefined) throw new Error(`ended with ${demo.code}:\n${demo.stderr}`);
      const services = () => processesThatMention(folder).length;
      return demo.stderr.includes(stage) && services() === 3;
    }, START_MS);
  return Object.assign(demo, { ended, reaches });
}

async function checkRun(path: string, terms: readonly string[]): Promise<void> {
  const events = await readEvents(join(path, 'events.jsonl'));
  const steps = stepRecords(events);
  assert.deepEqual(
    steps.map(({ step }) => step),
    Array.from({ length: STEPS }, (_, index) => index + 1),
  );
  for (const { terms: values } of steps) {
    for (const term of terms) assert.ok(Number.isFinite(values[term]), `${term}: ${values[term]}`);
  }
  const report = readFileSync(join(path, 'report.html'), 'utf8');
  assert.ok(report.includes('data:image/png;base64,'), 'pictures in the report');
  assert.ok(decode(readFileSync(join(path, 'report.png'))).width > 0, 'an empty picture');
  const grid = decode(readFileSync(join(path, 'pictures', 'grid.png')));
  // image, truth, student: three pictures of 48 rows and the gaps between.
  assert.ok(grid.height >= 3 * 48 && grid.width > 2 * 64, `${grid.height} x ${grid.width}`);
}

test('the demo runs a teacher and two students: scores, curves, pictures, and no process left', async () => {
  const out = join(folder, 'whole');
  const demo = startDemo(out, '--teacher-model', model);
  assert.equal(await demo.ended, 0, demo.stderr);
  assert.deepEqual(processesThatMention(folder), []);

  await checkRun(join(out, 'cirkd'), ['task', ...CIRKD_TERMS, 'total']);
  await checkRun(join(out, 'baseline'), ['task', 'total']);
  const [first] = stepRecords(await readEvents(join(out, 'baseline', 'events.jsonl')));
  const [taught] = stepRecords(await readEvents(join(out, 'cirkd', 'events.jsonl')));
  assert.equal(taught?.terms['task'], first?.terms['task'], 'same init, same crops');

  const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'));
  for (const role of ['teacher', 'baseline', 'cirkd']) {
    const { miou, pixelAccuracy } = summary[role];
    assert.ok(miou >= 0 && miou <= 1 && pixelAccuracy >= 0 && pixelAccuracy <= 1, role);
  }
  assert.equal(summary.steps, STEPS);
  assert.equal(summary.seed, 3);
  assert.ok(
    summary.eventLoopLagP99Seconds.teacher > 0,
    String(summary.eventLoopLagP99Seconds.teacher),
  );
  assert.match(readFileSync(join(out, 'metrics-teacher.txt'), 'utf8'), /^cirkd_teacher_streams /m);
  assert.match(readFileSync(join(out, 'metrics-student.txt'), 'utf8'), /^cirkd_student_loss\{/m);

  assert.match(demo.stdout, /^mean IoU +\d+\.\d %/m);
  assert.match(demo.stdout, /report\.html/);
  for (const step of [1, 2, 3, 4]) assert.match(demo.stderr, new RegExp(`^${step}/4 `, 'm'));
  assert.ok(
    readFileSync(join(out, 'report.html'), 'utf8').includes('labels alone'),
    'the report does not name the baseline',
  );
  assert.ok(decode(readFileSync(join(out, 'report.png'))).width > 0, 'an empty picture');
  const grid = decode(readFileSync(join(out, 'pictures', 'grid.png')));
  assert.ok(grid.height >= 5 * 48, 'rows image, truth, teacher, labels alone, CIRKD');
});

test('a teacher that cannot start ends the demo with its exit code and message, and no process left', async () => {
  const broken = join(folder, 'broken.safetensors');
  writeFileSync(broken, readFileSync(model).subarray(0, 5000));
  const demo = startDemo(join(folder, 'broken'), '--teacher-model', broken);
  assert.equal(await demo.ended, 5, demo.stderr);
  assert.match(demo.stderr, /cirkd demo: the teacher ended with exit code 5/);
  assert.match(demo.stderr, /cirkd: checkpoint .*broken\.safetensors/);
  assert.equal(demo.stdout, '');
  assert.deepEqual(processesThatMention(folder), []);
});

test('SIGINT also ends the services', async () => {
  const out = join(folder, 'stopped');
  const demo = startDemo(out, '--teacher-model', model);
  await demo.reaches('2/4 ');
  demo.child.kill('SIGINT');
  assert.equal(await demo.ended, 130, demo.stderr);
  assert.match(demo.stderr, /stopped by SIGINT/);
  assert.deepEqual(processesThatMention(folder), []);
  assert.ok(
    !existsSync(join(out, 'summary.json')) && readdirSync(out).length > 0,
    readdirSync(out).join(),
  );
});

test('a demo that is killed takes its services with it', async () => {
  const demo = startDemo(join(folder, 'killed'), '--teacher-model', model);
  await demo.reaches('2/4 ');
  demo.child.kill('SIGKILL');
  await eventually(() => processesThatMention(folder).length === 0);
});
