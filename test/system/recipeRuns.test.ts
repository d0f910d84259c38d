/** Each method's recipe on top of Cityscapes', at a small scale: it trains, and with the terms of the method alone. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { studentSchema } from '../../services/program/studentSchema.js';
import { loadConfig } from '../../src/config/load.js';
import { filesBelow } from '../../src/data/files/fileList.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { CityscapesFolder } from '../support/datasets/cityscapesFolder.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const RECIPES = fileURLToPath(new URL('../../recipes/', import.meta.url));
const METHODS = filesBelow(RECIPES, ['.yaml']).filter((name) => name.startsWith('methods/'));
const NAMES = ['ulm_000000_000019', 'ulm_000001_000019', 'bonn_000000_000019', 'bonn_0_1'];
const SIZE = { height: 48, width: 96 };

const folder = mkdtempSync(join(tmpdir(), 'cirkd-recipes-'));
const set = new CityscapesFolder(join(folder, 'cityscapes'));
const processes: CirkdProcess[] = [];
/** At stride 8, and at the stride of SegFormer's students. */
const teachers: TeacherProcess[] = [];
const addresses = { cirkd: '', segformer: '' };

const isSegformer = (method: string) => method.endsWith('-segformer.yaml');
const baseOf = (method: string) =>
  isSegformer(method) ? 'cirkd-segformer-cityscapes.yaml' : 'cirkd-cityscapes.yaml';

before(async () => {
  await set.add('train', NAMES, SIZE);
  await set.add('val', ['bonn_000009_000019'], SIZE);
  const network = { model: 'segformer', backbone: 'mit_b0', widthMultiplier: 1 } as const;
  for (const [kind, options] of [
    ['cirkd', { classes: 19 }],
    ['segformer', { classes: 19, network }],
  ] as const) {
    const teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder, options));
    teachers.push(teacher);
    addresses[kind] = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
    await teacher.ready();
  }
});
afterEach(() => {
  for (const process of processes.splice(0)) process.kill();
});
after(() => {
  for (const teacher of teachers) teacher.kill();
  rmSync(folder, { recursive: true });
});

/** The discriminator of the holistic term sees no smaller one. */
function cropOf(method: string): { height: number; width: number } {
  const isAdversarial = termsOf(baseOf(method), method).includes('skd_holistic');
  const side = isSegformer(method) ? 253 : 505;
  return isAdversarial ? { height: side, width: side } : { height: 64, width: 128 };
}

const addressFor = (method: string) => addresses[isSegformer(method) ? 'segformer' : 'cirkd'];

/** Settings that make a recipe's run small. */
function small(id: string, method: string): string[] {
  const settings = {
    ...{ 'run.directory': folder, 'run.id': id, 'metrics.port': 0, 'evaluate.pictures': 0 },
    ...{ 'data.train.root': set.root, 'data.train.list': set.list(`${id}.lst`, 'train', NAMES) },
    ...{ 'data.val.root': set.root, 'data.workers': 1, 'data.cacheMiB': 16 },
    ...{ 'data.crop': cropOf(method), 'student.backboneWeights': null },
    ...(isSegformer(method) ? {} : { 'student.widthMultiplier': 0.125 }),
    ...{ 'train.steps': 3, 'train.batchSize': 2 },
    ...(method === 'methods/labels.yaml' ? {} : { 'teacher.addresses': [addressFor(method)] }),
  };
  return Object.entries(settings).flatMap(([key, value]) => [
    '--set',
    `${key}=${JSON.stringify(value)}`,
  ]);
}

/** The terms with a weight in these recipes, sorted. */
function termsOf(...names: string[]): string[] {
  const [first, ...overlays] = names.map((fileName) => ({
    text: readFileSync(`${RECIPES}${fileName}`, 'utf8'),
    fileName,
  }));
  const { weights } = loadConfig(studentSchema, { ...first!, overlays }).loss;
  return Object.entries(weights)
    .filter(([, weight]) => weight > 0)
    .map(([term]) => term)
    .sort();
}

for (const method of METHODS) {
  test(`${method} on top of ${baseOf(method)} trains three steps, with its own terms alone`, async () => {
    const id = method.replace('methods/', '').replace('.yaml', '');
    const configs = [baseOf(method), method].flatMap((name) => ['--config', `${RECIPES}${name}`]);
    const student = new CirkdProcess('student', ...configs, ...small(id, method));
    processes.push(student);
    assert.equal(await student.exit(), 0, student.stderr);
    const steps = new TrainedRun(folder, id).steps();
    assert.equal(steps.length, 3);
    const weighted = termsOf(baseOf(method), method);
    for (const { terms } of steps) {
      const { total, skd_discriminator: _, ...own } = terms;
      assert.deepEqual(Object.keys(own).sort(), weighted);
      assert.ok(Number.isFinite(total), `total ${total}`);
      for (const [term, value] of Object.entries(own)) {
        assert.ok(Number.isFinite(value), `${term} ${value}`);
        // The adversarial term may have any sign.
        assert.ok(term === 'skd_holistic' || value > 0, `${term} ${value}`);
      }
    }
  });
}
