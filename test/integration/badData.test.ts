/** Training from files of a CamVid-like folder, whole and broken. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-bad-data-'));
const students: CirkdProcess[] = [];
const NAMES = ['a', 'b', 'c', 'd'];
const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region', 'total'];
let config: string;
let teacher: TeacherProcess;
let address: string;

async function drawn(name: string): Promise<CamvidFolder> {
  const set = new CamvidFolder(join(folder, `set-${name}`));
  await set.add('train', NAMES);
  await set.add('val', ['v', 'w']);
  return set;
}

/** Two steps: each of the four images once. */
function student(id: string, { root }: CamvidFolder, ...more: string[]): CirkdProcess {
  const data = JSON.stringify({ kind: 'camvid', root });
  const settings = [`run.id=${id}`, `data.train=${data}`, `data.val=${data}`, 'train.steps=2'];
  const flags = [...settings, ...more].flatMap((one) => (one[0] === '-' ? [one] : ['--set', one]));
  const process = new CirkdProcess('student', '--config', config, ...flags);
  students.push(process);
  return process;
}

before(async () => {
  config = tinyStudent(folder);
  const sizes = ['simulate.classes=11', 'simulate.featureChannels=16', 'simulate.latencyMs=0'];
  teacher = new TeacherProcess('--simulate', ...sizes.flatMap((one) => ['--set', one]));
  await teacher.ready();
  address = `teacher.addresses=["127.0.0.1:${(await teacher.listening()).grpcPort}"]`;
});
afterEach(() => {
  for (const process of students.splice(0)) process.kill();
});
after(() => {
  teacher.kill();
  rmSync(folder, { recursive: true });
});

test('a folder dataset trains on crops larger than its images, and val is evaluated', async () => {
  const set = await drawn('whole');
  const trained = student('whole', set, address);
  assert.equal(await trained.exit(), 0, trained.stderr);
  const run = new TrainedRun(folder, 'whole');
  for (const { terms } of run.steps()) {
    assert.deepEqual(Object.keys(terms), TERMS);
    assert.ok(Object.values(terms).every(Number.isFinite), JSON.stringify(terms));
    assert.ok(terms.task! > 0, `task ${terms.task}`);
  }
  assert.deepEqual(
    run
      .steps()
      .flatMap(({ samples }) => samples)
      .sort(),
    NAMES,
  );
  const { cirkd } = JSON.parse(readFileSync(join(run.path, 'summary.json'), 'utf8'));
  assert.ok(cirkd.miou >= 0 && cirkd.pixelAccuracy <= 1, JSON.stringify(cirkd));
  assert.equal(Object.keys(cirkd.iou).length, 11);
  assert.equal(existsSync(join(run.path, 'pictures', 'grid.png')), true);
});

test('in batches without a labelled pixel task and memory terms are 0, and the run continues', async () => {
  const set = new CamvidFolder(join(folder, 'set-void'));
  await set.add('train', NAMES, { label: () => 11 });
  await set.add('val', ['v']);
  const trained = student('void', set, address);
  assert.equal(await trained.exit(), 0, trained.stderr);
  const run = new TrainedRun(folder, 'void');
  assert.equal(run.steps().length, 2);
  for (const { terms } of run.steps()) {
    assert.deepEqual([terms.task, terms.memory_pixel, terms.memory_region], [0, 0, 0]);
    assert.ok(terms.logits_kd! > 0 && terms.minibatch_pixel! > 0, JSON.stringify(terms));
    assert.ok(Object.values(terms).every(Number.isFinite), JSON.stringify(terms));
  }
  assert.deepEqual(run.nonFinite(2), []);
});

const FAULTS: Record<string, { spoil(set: CamvidFolder): Promise<void> | void; pattern: RegExp }> =
  {
    corrupt: {
      spoil(set) {
        const file = set.imageFile('train', 'c');
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.fill(0, 60, 200));
      },
      pattern: /^cirkd: .*set-corrupt\/train\/c\.png: not a readable image: /m,
    },
    label: {
      spoil: (set) => {
        set.drawLabels('train', 'b', { label: (y, x) => (y === 3 && x === 5 ? 200 : 1) });
      },
      pattern:
        /^cirkd: .*trainannot\/b\.png: got label 200 at row 3, column 5, wanted 0–11 or 255/m,
    },
    missing: {
      spoil: (set) => unlinkSync(set.labelFile('train', 'd')),
      pattern: /^cirkd: .*set-missing\/trainannot\/d\.png: no such file/m,
    },
    size: {
      spoil: (set) => set.drawLabels('train', 'a', { height: 41 }),
      pattern:
        /^cirkd: .*trainannot\/a\.png: got 41×56 labels .*, wanted 40×56 as in .*train\/a\.png/m,
    },
  };

test('a corrupt image, a label out of range, a missing file and a wrong size give exit code 7', async () => {
  const faulty = await Promise.all(
    Object.entries(FAULTS).map(async ([id, { spoil, pattern }]) => {
      const set = await drawn(id);
      await spoil(set);
      return { id, pattern, process: student(id, set) };
    }),
  );
  for (const { id, pattern, process } of faulty) {
    assert.equal(await process.exit(), 7, `${id}: ${process.stderr}`);
    assert.match(process.stderr, pattern);
    assert.doesNotMatch(process.stderr, /\n {4}at /);
    const run = new TrainedRun(folder, id);
    const saved = run.exists ? run.checkpoints() : [];
    assert.deepEqual(saved, run.exists && run.steps().length > 0 ? [run.steps().length] : []);
    assert.equal(existsSync(join(run.path, 'summary.json')), false);
  }
});

test('a corrupt image of val gives exit code 7 with the training saved; once repaired, --resume completes it', async () => {
  const set = await drawn('val');
  truncateSync(set.imageFile('val', 'w'), 100);
  const first = student('val', set);
  assert.equal(await first.exit(), 7, first.stderr);
  assert.match(first.stderr, /^cirkd: .*set-val\/val\/w\.png: not a readable image: /m);
  const run = new TrainedRun(folder, 'val');
  assert.deepEqual(run.checkpoints(), [2]);
  await set.drawImage('val', 'w', 1);
  const second = student('val', set, '--resume');
  assert.equal(await second.exit(), 0, second.stderr);
  assert.equal(run.steps().length, 2);
  assert.equal(existsSync(join(run.path, 'summary.json')), true);
});
