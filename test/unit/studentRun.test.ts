/** Starting and resuming a run, without training. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Checkpointing } from '../../services/student/checkpointing.js';
import { evaluationPlan } from '../../services/student/evaluationPlan.js';
import { type OpenedRun, openRun } from '../../services/student/openRun.js';
import { openReporting } from '../../services/student/reporting.js';
import { connectTeacher } from '../../services/student/teacher/teacher.js';
import { openRunData } from '../../services/student/trainingData.js';
import { formatConfig } from '../../src/config/format.js';
import { loadConfig } from '../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import { ConfusionMatrix, scores } from '../../src/evaluate/confusion.js';
import { saveCheckpoint } from '../../src/run/checkpoint.js';
import { bestCheckpoint, markBestCheckpoint } from '../../src/run/checkpointFolder.js';
import { openEventLog, readEvents } from '../../src/run/events.js';
import { readManifest } from '../../src/run/manifest.js';
import { float32Tensor } from '../../src/wire/safetensors.js';
import { CamvidFolder } from '../support/datasets/camvidFolder.js';

const DIGESTS = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];

function config(t: TestContext, ...overrides: string[]): StudentConfig {
  const directory = mkdtempSync(join(tmpdir(), 'cirkd-student-run-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const text = `
run: {directory: ${JSON.stringify(directory)}, id: one, evaluateEverySteps: 2, checkpointEverySteps: 3}
data:
  train: {kind: synthetic, samples: 2, seed: 1}
  val: {kind: synthetic, samples: 1, seed: 2}
train: {steps: 6, batchSize: 2}
metrics: {port: null}
`;
  return loadConfig(studentSchema, { text, fileName: 'test', overrides });
}

const open = (given: StudentConfig, resume = false) => openRun(given, resume, () => {});

const stream = { write: () => true };

/** Evaluations give these mIoUs in turn: the percentage of pixels that are predicted correctly. */
function evaluations(...percents: number[]) {
  const turns = [...percents];
  return async () => {
    const right = turns.shift();
    if (right === undefined) return assert.fail('one evaluation too many');
    const confusion = new ConfusionMatrix(2);
    confusion.counts.set([right, 100 - right, 100 - right, right]);
    return { scores: scores(confusion), shown: [] };
  };
}

async function checkpointing(t: TestContext, run: OpenedRun) {
  const reporting = await openReporting(
    run.config,
    { ...run, stepsDone: run.manifest?.step ?? 0 },
    stream,
  );
  t.after(() => reporting.close(0, new AbortController().signal));
  const made = new Checkpointing({
    config: run.config,
    run,
    plan: evaluationPlan(run.config, run),
    dataset: { digest: 'd' },
    teacher: null,
    compute: {
      snapshot: async () => ({
        student: {
          tensors: new Map([['w', float32Tensor(Float32Array.of(1), [1])]]),
          metadata: {},
        },
      }),
    },
    reporting,
  });
  return made;
}

const evaluatedSteps = async ({ folder }: OpenedRun) =>
  (await readEvents(folder.eventsFile)).flatMap(({ kind, step }) =>
    kind === 'evaluation' ? [step] : [],
  );

test('threads: 0 is resolved once per run: saved, and used again on resume', async (t) => {
  const given = config(t);
  assert.equal(given.train.threads, 0);
  const run = await open(given);
  assert.equal(run.config.train.threads, availableParallelism());
  await run.lock.release();
  // As if another machine had started it.
  const other = { ...run.config, train: { ...run.config.train, threads: 7 } };
  writeFileSync(run.folder.configFile, formatConfig(other));
  const resumed = await open(given, true);
  assert.equal(resumed.config.train.threads, 7);
  assert.match(readFileSync(run.folder.configFile, 'utf8'), /threads: 7/);
  await saveCheckpoint(run.folder.checkpointsFolder, {
    ...{ step: 2, packageVersion: '1', teacherDigest: null, datasetHash: 'd', state: {} },
    config: { ...other, train: { ...other.train, threads: 5 } },
    files: {},
  });
  await resumed.lock.release();
  const third = await open(given, true);
  assert.equal(third.config.train.threads, 5);
  await third.lock.release();
  const changed = { ...given, train: { ...given.train, threads: 3 } };
  await assert.rejects(open(changed, true), /train\.threads: was 5, is 3/);
});

test("what ranks share is fixed by a group's run, not by that of one process", async (t) => {
  for (const workers of [[], ['h0:1', 'h1:1']]) {
    const group = `distributed.workers=${JSON.stringify(workers)}`;
    const given = config(t, group, ...(workers.length > 0 ? ['distributed.index=0'] : []));
    const run = await open(given);
    await saveCheckpoint(run.folder.checkpointsFolder, {
      ...{ step: 2, packageVersion: '1', teacherDigest: null, datasetHash: 'd', state: {} },
      ...{ config: { ...run.config }, files: {} },
    });
    await run.lock.release();
    const changed: StudentConfig = {
      ...given,
      distributed: { ...given.distributed, minibatch: 'batch' },
    };
    if (workers.length > 0) {
      await assert.rejects(open(changed, true), /distributed\.minibatch: was "rank", is "batch"/);
    } else {
      const resumed = await open(changed, true);
      assert.equal(resumed.config.distributed.minibatch, 'batch');
      await resumed.lock.release();
    }
  }
});

test('a checkpoint from before a key existed is resumed with its default', async (t) => {
  const given = config(t);
  const run = await open(given);
  const { warmupSteps: _missing, ...train } = run.config.train;
  await saveCheckpoint(run.folder.checkpointsFolder, {
    ...{ step: 2, packageVersion: '1', teacherDigest: null, datasetHash: 'd', state: {} },
    config: { ...run.config, train },
    files: {},
  });
  await run.lock.release();
  const resumed = await open(given, true);
  assert.equal(resumed.manifest?.step, 2);
  await resumed.lock.release();
  await assert.rejects(
    open({ ...given, train: { ...given.train, warmupSteps: 1 } }, true),
    /train\.warmupSteps: was 0, is 1/,
  );
});

test('a run from before a key was retired continues with its own values', async (t) => {
  const given = config(t);
  const run = await open(given);
  const { warmupSteps: _missing, ...train } = { ...run.config.train, threads: 7 };
  const old = { ...run.config, train, evaluate: { mode: 'whole', pictures: 6 } };
  writeFileSync(run.folder.configFile, formatConfig(old));
  await run.lock.release();
  const begun = await open(given, true);
  assert.equal(begun.config.train.threads, 7);
  assert.doesNotMatch(readFileSync(run.folder.configFile, 'utf8'), /mode: whole/);
  await saveCheckpoint(run.folder.checkpointsFolder, {
    ...{ step: 2, packageVersion: '1', teacherDigest: null, datasetHash: 'd', state: {} },
    config: old,
    files: {},
  });
  await begun.lock.release();
  const resumed = await open(given, true);
  assert.equal(resumed.manifest?.step, 2);
  assert.equal(resumed.config.train.threads, 7);
  await resumed.lock.release();
});

test('a run in use is refused, new or resumed, and stays whole', async (t) => {
  const given = config(t);
  const run = await open(given);
  for (const resume of [false, true]) {
    await assert.rejects(open(given, resume), {
      name: 'RunFolderError',
      message: new RegExp(`in use by process ${process.pid}`),
    });
  }
  await run.lock.release();
  await assert.rejects(open(given), /already contains a run/);
  await (await open(given, true)).lock.release();
});

test('the last step is evaluated, the best is kept and found again after a kill', async (t) => {
  const given = config(t);
  const run = await open(given);
  const first = await checkpointing(t, run);
  const evaluate = evaluations(50, 80, 70);
  for (let step = 1; step <= 6; step++) {
    first.stepDone();
    await first.afterStep(evaluate);
    await first.save();
  }
  assert.deepEqual(await evaluatedSteps(run), [2, 4, 6]);
  const folder = run.folder.checkpointsFolder;
  const marked = await bestCheckpoint(folder);
  assert.equal(marked?.step, 4);
  const { state } = await readManifest(join(folder, 'step-00000006'));
  assert.deepEqual(state, { best: { step: 4, miou: marked.miou } });
  // Killed between saving and marking the best.
  await markBestCheckpoint(folder, { step: 6, miou: 0.1 });
  const events = openEventLog(run.folder.eventsFile);
  events.append({ kind: 'end', step: 6 });
  events.close();
  await run.lock.release();
  const resumed = await open(given, true);
  const second = await checkpointing(t, resumed);
  await second.catchUp(evaluations(70));
  assert.equal((await bestCheckpoint(folder))?.step, 4);
  assert.deepEqual(await evaluatedSteps(run), [2, 4, 6]);
  assert.ok(second.evaluationAt(6) !== null);
  const ends = (await readEvents(run.folder.eventsFile)).filter(({ kind }) => kind === 'end');
  assert.equal(ends.length, 0, 'to be told again');
  await resumed.lock.release();
});

test('an evaluation that a stop interrupted is repeated, a recorded one is not', async (t) => {
  const given = config(t);
  const run = await open(given);
  const first = await checkpointing(t, run);
  for (const _ of [1, 2]) first.stepDone();
  await assert.rejects(
    first.afterStep(() => Promise.reject(new Error('stop'))),
    /stop/,
  );
  await first.save();
  await run.lock.release();
  const resumed = await open(given, true);
  assert.equal(resumed.isEvaluated, false);
  const second = await checkpointing(t, resumed);
  await second.catchUp(evaluations(60));
  assert.deepEqual(await evaluatedSteps(run), [2]);
  assert.equal((await bestCheckpoint(run.folder.checkpointsFolder))?.step, 2);
  await resumed.lock.release();
  const again = await open(given, true);
  assert.equal(again.isEvaluated, true);
  await (await checkpointing(t, again)).catchUp(evaluations());
  await again.lock.release();
});

test('data.val is opened before a run begins', async (t) => {
  const set = new CamvidFolder(mkdtempSync(join(tmpdir(), 'cirkd-val-')));
  t.after(() => rmSync(set.root, { recursive: true }));
  await set.add('train', ['a', 'b', 'c']);
  const data = `{kind: camvid, root: ${JSON.stringify(set.root)}}`;
  const given = config(t, `data.train=${data}`, `data.val=${data}`);
  assert.throws(() => openRunData(given), { name: 'DataError', message: /val/ });
  await set.add('val', ['v']);
  assert.equal(openRunData(given).train.samples.length, 3);
});

test("a folder's classes must be those of the other dataset, by name", async (t) => {
  const given = config(t);
  const set = new CamvidFolder(join(given.run.directory, 'camvid'));
  await set.add('val', ['v']);
  const table = join(given.run.directory, 'classes.yaml');
  const images = join(set.root, 'val');
  const train = { kind: 'folder', imageFolder: images, classTable: 'camvid', labels: 'teacher' };
  const data = (classTable: string) => [
    `data.train=${JSON.stringify({ ...train, classTable })}`,
    `data.val=${JSON.stringify({ kind: 'camvid', root: set.root })}`,
    'teacher.addresses=["127.0.0.1:1"]',
  ];
  assert.equal(openRunData(config(t, ...data('camvid'))).train.classNames.length, 11);
  assert.throws(() => openRunData(config(t, ...data('cityscapes'))), {
    name: 'DataError',
    message: 'data.val: camvid/val: 11 classes, wanted 19 as in data.train',
  });
  const names = openRunData(config(t, ...data('camvid'))).train.classNames;
  const entries = names.map((name, id) => ({
    ...{ id, name: id === 5 ? 'hedge' : name, colour: [id, 0, 0] },
  }));
  writeFileSync(table, JSON.stringify(entries));
  assert.throws(() => openRunData(config(t, ...data(table))), {
    name: 'DataError',
    message: 'data.val: camvid/val: class 5 is tree, wanted hedge as in data.train',
  });
});

test('a stop ends the wait for teachers; two digests are refused before it', async (t) => {
  const given = config(t, 'teacher.addresses=["127.0.0.1:1"]', `teacher.digest="${DIGESTS[0]}"`);
  const run = await open(given);
  const reporting = await openReporting(
    given,
    { ...run, stepsDone: run.manifest?.step ?? 0 },
    stream,
  );
  const stop = new AbortController();
  const parts = { dataset: openRunData(given).train, run, reporting };
  const waiting = connectTeacher(given, { ...parts, stop: stop.signal });
  stop.abort();
  await assert.rejects(waiting, (error) => error === stop.signal.reason);
  const manifest = { teacherDigest: DIGESTS[1] } as OpenedRun['manifest'];
  await assert.rejects(
    connectTeacher(given, {
      ...{ ...parts, run: { ...run, manifest } },
      stop: new AbortController().signal,
    }),
    { name: 'ContractMismatchError', message: /teacher\.digest: got sha256:aa.*sha256:bb/ },
  );
  await reporting.close(0, stop.signal);
  await run.lock.release();
  assert.ok(existsSync(run.folder.configFile));
});
