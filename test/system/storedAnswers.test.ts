/** Students with a store of answers: what they still ask a real teacher for, and what they end with. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { smallDisk } from '../support/answers/smallDisk.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { metricOf, TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const LAST_STEP = 7;
/** Of data.train, each with one crop; the run takes 14, so two come again. */
const SAMPLES = 12;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-stored-'));
const students: CirkdProcess[] = [];
let teacher: TeacherProcess;
let config: string;
let address: string;
let metricsUrl: string;

function student(id: string, store: string | null, ...more: string[]): CirkdProcess {
  const sets = [
    ...[`run.id=${id}`, `teacher.addresses=["${address}"]`, 'data.fixedCrops=1'],
    ...(store === null ? [] : [`teacher.store.directory=${join(folder, store)}`]),
  ];
  const process = new CirkdProcess(
    ...['student', '--config', config, ...sets.flatMap((one) => ['--set', one])],
    ...more,
  );
  students.push(process);
  return process;
}

/** Images that the teacher computes while `work` goes on. */
async function computedDuring(work: () => Promise<unknown>): Promise<number> {
  const computed = () => metricOf(metricsUrl, 'cirkd_teacher_batch_images_sum');
  const before = await computed();
  await work();
  return (await computed()) - before;
}

async function finish(process: CirkdProcess): Promise<void> {
  assert.equal(await process.exit(), 0, process.stderr);
}

/** Every byte of the last checkpoint but its manifest, which has the run's id and config. */
function lastCheckpoint(id: string): Map<string, string> {
  const run = new TrainedRun(folder, id);
  const names = readdirSync(run.checkpointFile(LAST_STEP, '')).filter((n) => n !== 'manifest.json');
  return new Map(
    names.map((name) => [name, readFileSync(run.checkpointFile(LAST_STEP, name)).toString('hex')]),
  );
}

function assertSame(id: string): void {
  const [state, wanted] = [lastCheckpoint(id), lastCheckpoint('plain')];
  assert.deepEqual([...state.keys()].sort(), [...wanted.keys()].sort());
  assert.equal(state.size, 4);
  for (const [name, bytes] of wanted)
    assert.ok(state.get(name) === bytes, `${id}: ${name} differs`);
  const ledger = new TrainedRun(folder, id).steps().map(({ step, samples, terms }) => ({
    ...{ step, samples, terms },
  }));
  const plain = new TrainedRun(folder, 'plain').steps();
  assert.deepEqual(
    ledger,
    plain.map(({ step, samples, terms }) => ({ step, samples, terms })),
  );
}

function summaryOf(id: string): { answersFromStore?: unknown } {
  return JSON.parse(readFileSync(join(folder, id, 'summary.json'), 'utf8')) as object;
}

before(async () => {
  config = tinyStudent(folder);
  teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder), '--set', 'threads=2');
  await teacher.ready();
  const { grpcPort, metricsUrl: url } = await teacher.listening();
  address = `127.0.0.1:${grpcPort}`;
  metricsUrl = url;
  const computed = await computedDuring(() => finish(student('plain', null)));
  assert.equal(computed, 2 * LAST_STEP);
  assert.equal(summaryOf('plain').answersFromStore, undefined);
});
afterEach(() => {
  for (const process of students.splice(0)) process.kill();
});
after(() => {
  teacher.kill();
  rmSync(folder, { recursive: true });
});

test('a first run asks for each crop once; a second for none; both end with the same bytes', async () => {
  const first = await computedDuring(() => finish(student('first', 'store')));
  assert.equal(first, SAMPLES);
  assertSame('first');
  assert.deepEqual(summaryOf('first').answersFromStore, { images: 14, stored: 2 });
  const second = await computedDuring(() => finish(student('second', 'store')));
  assert.equal(second, 0);
  assertSame('second');
  assert.deepEqual(summaryOf('second').answersFromStore, { images: 14, stored: 14 });
  const report = readFileSync(join(folder, 'second', 'report.html'), 'utf8');
  assert.match(report, /answers from the store/);
  assert.match(report, /100(\.0)? ?% \(14 of 14\)/);
});

test('a run that is killed and resumed asks for nothing again', async () => {
  const computed = await computedDuring(async () => {
    const killed = student('resumed', 'resumed-store');
    await killed.says(new RegExp(`step 5/${LAST_STEP} `));
    killed.signal('SIGKILL');
    assert.equal(await killed.exit(), null);
    await finish(student('resumed', 'resumed-store', '--resume'));
  });
  assertSame('resumed');
  // At most those of the steps ahead were on their way to the disk.
  assert.ok(computed <= SAMPLES + 4, `${computed} computed`);
  const warm = await computedDuring(async () => {
    const killed = student('resumed-warm', 'resumed-store');
    await killed.says(new RegExp(`step 3/${LAST_STEP} `));
    killed.signal('SIGKILL');
    await killed.exit();
    await finish(student('resumed-warm', 'resumed-store', '--resume'));
  });
  assert.equal(warm, 0);
  assertSame('resumed-warm');
});

test('damaged answers are asked for again, and only those', async () => {
  await finish(student('filled', 'damaged-store'));
  const store = join(folder, 'damaged-store', 'content-v2');
  const files = readdirSync(store, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  assert.equal(files.length, SAMPLES);
  for (const path of files.slice(0, 5)) {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 0x10;
    writeFileSync(path, bytes);
  }
  const computed = await computedDuring(() => finish(student('mended', 'damaged-store')));
  assert.equal(computed, 5);
  assertSame('mended');
  assert.equal(await computedDuring(() => finish(student('again', 'damaged-store'))), 0);
});

test('a full disk costs time and nothing else', async (t) => {
  const disk = smallDisk(join(folder, 'full-store'), 64);
  if (disk === null) return t.skip('this process may not mount a small file system (not root)');
  try {
    const process = student('full', 'full-store');
    const computed = await computedDuring(() => finish(process));
    assertSame('full');
    assert.ok(computed >= SAMPLES, `${computed} computed`);
    assert.equal(process.stderr.match(/writing failed, going on without: ENOSPC/g)?.length, 1);
  } finally {
    disk.remove();
  }
});

test('two students share a store while both write it', async () => {
  const both = ['left', 'right'].map((id) => student(id, 'shared-store'));
  await Promise.all(both.map(finish));
  assertSame('left');
  assertSame('right');
  assert.equal(await computedDuring(() => finish(student('late', 'shared-store'))), 0);
  assertSame('late');
});

test('a folder of something else ends with exit code 2, and names key and folder', async () => {
  const process = student('refused', '.');
  assert.equal(await process.exit(), 2);
  assert.match(process.stderr, /teacher\.store\.directory/);
  assert.match(process.stderr, /holds other files \(/);
  assert.equal(new TrainedRun(folder, 'refused').exists, false);
});
