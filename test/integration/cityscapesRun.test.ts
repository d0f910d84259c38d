/** From a folder in the layout of Cityscapes to a report, and training on frames without labels. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CITYSCAPES_CLASSES } from '../../src/data/files/cityscapesClasses.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { CityscapesFolder } from '../support/datasets/cityscapesFolder.js';
import { drawImage } from '../support/datasets/drawnFiles.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-cityscapes-'));
const recipe = (name: string) =>
  fileURLToPath(new URL(`../../recipes/${name}.yaml`, import.meta.url));
const NAMES = ['ulm_000000_000019', 'ulm_000001_000019', 'bonn_000000_000019', 'bonn_0_1'];
const set = new CityscapesFolder(join(folder, 'cityscapes'));
const VAL = { kind: 'cityscapes', root: set.root };
const processes: CirkdProcess[] = [];
let config: string;
let teacher: TeacherProcess;
let address: string;

const sets = (settings: Readonly<Record<string, unknown>>) =>
  Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${JSON.stringify(value)}`]);

function cirkd(...args: string[]): CirkdProcess {
  const process = new CirkdProcess(...args);
  processes.push(process);
  return process;
}

before(async () => {
  const size = { height: 48, width: 96 };
  await set.add('train', NAMES, size);
  await set.add('val', ['bonn_000009_000019', 'ulm_000008_000019'], size);
  // Images of another size are evaluated like any other.
  await set.add('val', ['ulm_000009_000019'], { height: 64, width: 40 });
  for (const [seed, name] of NAMES.entries()) {
    await drawImage(join(folder, 'frames', 'tour', `${name}.jpg`), seed, size);
  }
  config = tinyStudent(folder);
  teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder, { classes: 19 }));
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
  await teacher.ready();
});
afterEach(() => {
  for (const process of processes.splice(0)) process.kill();
});
after(() => {
  teacher.kill();
  rmSync(folder, { recursive: true });
});

test('the recipe at a small scale trains, is evaluated and reported', async () => {
  const list = set.list('train.lst', 'train', NAMES);
  const small = {
    ...{ 'run.directory': folder, 'run.id': 'recipe', 'metrics.port': 0 },
    ...{ 'data.train.root': set.root, 'data.train.list': list, 'data.val.root': set.root },
    ...{ 'data.crop': { height: 64, width: 128 }, 'data.workers': 1, 'data.cacheMiB': 16 },
    ...{ 'student.widthMultiplier': 0.25, 'student.backboneWeights': null },
    ...{ 'teacher.addresses': [address], 'train.steps': 3, 'train.batchSize': 2 },
  };
  const trained = cirkd('student', '--config', recipe('cirkd-cityscapes'), ...sets(small));
  assert.equal(await trained.exit(), 0, trained.stderr);
  const run = new TrainedRun(folder, 'recipe');
  for (const { terms } of run.steps()) {
    assert.equal(Object.keys(terms).length, 6);
    for (const [term, value] of Object.entries(terms)) {
      assert.ok(Number.isFinite(value) && value > 0, `${term} ${value}`);
    }
  }
  const samples = run.steps().flatMap(({ samples }) => samples);
  assert.deepEqual([...new Set(samples)].sort(), [...NAMES].sort());
  const { cirkd: summary } = JSON.parse(readFileSync(join(run.path, 'summary.json'), 'utf8'));
  const classNames = CITYSCAPES_CLASSES.map(([name]) => name);
  assert.deepEqual(Object.keys(summary.iou), classNames);
  const report = readFileSync(join(run.path, 'report.html'), 'utf8');
  for (const name of classNames) assert.ok(report.includes(name), `${name} isn't in the report`);
  const evaluated = cirkd(
    ...['evaluate', '--model', run.checkpointFile(3, 'student.safetensors')],
    ...['--data', 'cityscapes', '--root', set.root, '--split', 'val', '--json'],
  );
  assert.equal(await evaluated.exit(), 0, evaluated.stderr);
  const scores = JSON.parse(evaluated.stdout);
  assert.equal(scores.dataset, 'cityscapes/val');
  assert.equal(scores.miou, summary.miou);
  assert.equal(scores.pixelAccuracy, summary.pixelAccuracy);
});

test("SKD's recipe at a small scale trains student and discriminator", async () => {
  const small = {
    ...{ 'run.directory': folder, 'run.id': 'skd', 'metrics.port': 0 },
    ...{ 'data.train.root': set.root, 'data.val.root': set.root },
    ...{ 'data.crop': { height: 505, width: 505 }, 'data.workers': 1, 'data.cacheMiB': 16 },
    ...{ 'student.widthMultiplier': 0.25, 'student.backboneWeights': null },
    ...{ 'teacher.addresses': [address], 'train.steps': 2, 'train.batchSize': 2 },
  };
  const trained = cirkd('student', '--config', recipe('skd-cityscapes'), ...sets(small));
  assert.equal(await trained.exit(), 0, trained.stderr);
  for (const { terms } of new TrainedRun(folder, 'skd').steps()) {
    const names = ['task', 'logits_kd', 'skd_pairwise', 'skd_holistic', 'skd_discriminator'];
    assert.deepEqual(Object.keys(terms), [...names, 'total']);
    assert.ok(Object.values(terms).every(Number.isFinite), JSON.stringify(terms));
  }
});

test('labels: teacher trains on unlabelled frames, and a resumed run ends with the same weights', async () => {
  const frames = {
    ...{ kind: 'folder', imageFolder: join(folder, 'frames'), classTable: 'cityscapes' },
    ...{ labels: 'teacher', minConfidence: 0 },
  };
  const student = (id: string, ...more: string[]) =>
    cirkd(
      ...['student', '--config', config, ...more],
      ...sets({ 'run.id': id, 'data.train': frames, 'data.val': VAL }),
      ...sets({ 'teacher.addresses': [address], 'train.steps': 3 }),
    );
  const whole = student('unlabelled');
  assert.equal(await whole.exit(), 0, whole.stderr);
  const run = new TrainedRun(folder, 'unlabelled');
  const start = run.events().find(({ kind }) => kind === 'start') as unknown as { labels: unknown };
  assert.deepEqual(start.labels, { from: 'teacher', minConfidence: 0 });
  assert.equal(whole.stderr.match(/"from":"teacher"/g)?.length, 1, whole.stderr);
  assert.match(whole.stderr, /the teacher's class names differ/);
  for (const { terms, samples } of run.steps()) {
    assert.ok(
      samples.every((name) => name.startsWith('tour/')),
      String(samples),
    );
    // Labels from the teacher are in the task loss and, through the banks, in the memory terms.
    for (const term of ['task', 'memory_pixel', 'memory_region']) {
      assert.ok(terms[term]! > 0, `${term} ${terms[term]}`);
    }
  }
  assert.deepEqual(run.checkpoints(), [2, 3]);
  cpSync(run.path, join(folder, 'again'), { recursive: true });
  const again = new TrainedRun(folder, 'again');
  rmSync(again.checkpointFile(3, ''), { recursive: true });
  rmSync(join(again.path, 'summary.json'));
  const resumed = student('again', '--resume');
  assert.equal(await resumed.exit(), 0, resumed.stderr);
  assert.deepEqual(again.state(3), run.state(3));
  assert.deepEqual(again.steps(), run.steps().slice(0, 2).concat(again.steps().slice(2)));
});

test('a label unknown to Cityscapes: exit code 7 with file, value and position; nothing left behind', async () => {
  const broken = new CityscapesFolder(join(folder, 'broken'));
  await broken.add('train', NAMES);
  await broken.add('val', ['ulm_000009_000019']);
  for (const name of NAMES) broken.drawLabels('train', name, { label: (y) => (y === 30 ? 99 : 7) });
  const data = { kind: 'cityscapes', root: broken.root };
  const student = cirkd(
    ...['student', '--config', config],
    ...sets({ 'run.id': 'broken', 'data.train': data, 'data.val': data }),
  );
  assert.equal(await student.exit(), 7, student.stderr);
  assert.match(
    student.stderr,
    /^cirkd: .*gtFine\/train\/.*_labelIds\.png: got label 99 at row 30, column 0, wanted 0–33 or 255/m,
  );
  const run = new TrainedRun(folder, 'broken');
  assert.deepEqual(run.exists ? run.checkpoints() : [], []);
  assert.equal(existsSync(join(run.path, 'summary.json')), false);
});
