import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { cutEventsAfter, dropEvents, openEventLog, readEvents } from '../../src/run/events.js';
import {
  createRunFolder,
  openRunFolder,
  RunFolderError,
  writeRunConfig,
  writeSummary,
} from '../../src/run/runFolder.js';

import { lockRun } from '../../src/run/runLock.js';
import { eventually } from '../support/eventually.js';

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-run-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('events are appended, read back, and cut to a step', async (t) => {
  const path = join(temporaryFolder(t), 'events.jsonl');
  assert.deepEqual(await readEvents(path), []);
  assert.equal(await cutEventsAfter(path, 3), 0);
  const first = openEventLog(path);
  for (let step = 1; step <= 5; step++) first.append({ step, kind: 'step', loss: step / 2 });
  first.append({ step: 5, kind: 'step', loss: Number.NaN });
  first.close();
  const events = await readEvents(path);
  assert.equal(events.length, 6);
  assert.equal(events[5]?.loss, 'NaN');
  assert.match(String(events[0]?.time), /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.equal(await cutEventsAfter(path, 3), 3);
  const second = openEventLog(path);
  second.append({ step: 4, kind: 'step', loss: 9 });
  second.close();
  assert.deepEqual(
    (await readEvents(path)).map(({ step, loss }) => [step, loss]),
    [
      [1, 0.5],
      [2, 1],
      [3, 1.5],
      [4, 9],
    ],
  );
  assert.deepEqual(readdirSync(join(path, '..')), ['events.jsonl']);
});

test('an incomplete last line harms no other', async (t) => {
  const path = join(temporaryFolder(t), 'events.jsonl');
  const torn = '{"step":2,"kind":"st';
  writeFileSync(path, `{"step":1,"kind":"step"}\n${torn}`);
  assert.deepEqual(await readEvents(path), [{ step: 1, kind: 'step' }]);
  const log = openEventLog(path);
  log.append({ step: 2, kind: 'step' });
  log.close();
  assert.deepEqual(
    (await readEvents(path)).map(({ step }) => step),
    [1, 2],
  );
  appendFileSync(path, torn);
  assert.equal(await cutEventsAfter(path, 2), 2, 'both torn lines');
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 3);
});

test('a run folder is created once and opened again', async (t) => {
  const path = join(temporaryFolder(t), 'runs', 'demo');
  await assert.rejects(openRunFolder(path), /contains no run/);
  const folder = await createRunFolder(path, 'seed: 1\n');
  assert.deepEqual(readdirSync(path).sort(), ['checkpoints', 'config.yaml', 'pictures']);
  await assert.rejects(createRunFolder(path, ''), (error) => {
    assert.ok(error instanceof RunFolderError, String(error));
    assert.match(error.message, /--resume/);
    return true;
  });
  mkdirSync(join(folder.checkpointsFolder, '.tmp-step-00000001'));
  const opened = await openRunFolder(path);
  assert.equal(opened.configText, 'seed: 1\n');
  assert.deepEqual(readdirSync(folder.checkpointsFolder), []);
  await writeRunConfig(folder, 'seed: 2\n');
  assert.equal(readFileSync(folder.configFile, 'utf8'), 'seed: 2\n');
  const cirkd = { miou: 0.5, pixelAccuracy: 0.75 };
  await writeSummary(folder, { cirkd, steps: 10, seed: 1 });
  assert.deepEqual(JSON.parse(readFileSync(folder.summaryFile, 'utf8')), {
    cirkd,
    steps: 10,
    seed: 1,
  });
});

test('events of a kind are removed, the others stay in order', async (t) => {
  const path = join(temporaryFolder(t), 'events.jsonl');
  const log = openEventLog(path);
  for (const kind of ['step', 'evaluation', 'checkpoint', 'end']) log.append({ step: 2, kind });
  log.close();
  assert.equal(await dropEvents(path, ({ kind }) => kind === 'evaluation' || kind === 'end'), 2);
  assert.deepEqual(
    (await readEvents(path)).map(({ kind }) => kind),
    ['step', 'checkpoint'],
  );
});

test('a folder in use is refused with a message that names its process, and free after release', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'config.yaml'), '');
  const lock = await lockRun(folder);
  await assert.rejects(lockRun(folder), (error) => {
    assert.ok(error instanceof RunFolderError, String(error));
    assert.match(error.message, new RegExp(`in use by process ${process.pid}$`));
    return true;
  });
  await lock.release();
  assert.deepEqual(readdirSync(folder), ['config.yaml']);
  const again = await lockRun(folder);
  rmSync(join(folder, 'config.yaml'));
  await again.release();
  assert.throws(() => readdirSync(folder), /ENOENT/);
});

test('locks of a dead process, of an earlier process with the same number, and incomplete ones are taken over', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'run.lock');
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  const stale = [
    JSON.stringify({ pid: child.pid, started: null, host: hostname() }),
    JSON.stringify({ pid: process.pid, started: '1', host: hostname() }),
    '{"pid"',
    '',
  ];
  for (const text of stale) {
    writeFileSync(file, text);
    await lockRun(folder);
    assert.match(readFileSync(file, 'utf8'), new RegExp(`"pid":${process.pid},`));
    assert.deepEqual(readdirSync(folder), ['run.lock']);
  }
});

test("another container's lock is valid while it is touched, and is taken over when it isn't", async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'run.lock');
  // Every container has a process with this number.
  const owner = { pid: process.pid, started: null, host: 'another-pod' };
  writeFileSync(file, JSON.stringify(owner));
  const touching = setInterval(() => utimesSync(file, new Date(), new Date()), 10);
  await assert.rejects(lockRun(folder, { beatMs: 1000, silentMs: 60_000 }), (error) => {
    assert.ok(error instanceof RunFolderError, String(error));
    assert.match(error.message, /in use by process \d+ on another-pod$/);
    return true;
  });
  clearInterval(touching);
  const lock = await lockRun(folder, { beatMs: 10, silentMs: 300 });
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).host, hostname());
  const before = statSync(file).mtimeMs;
  await eventually(() => statSync(file).mtimeMs !== before);
  await lock.release();
  assert.throws(() => readFileSync(file), /ENOENT/);
});

test('a lock that another process has taken over is not released', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'run.lock');
  const lock = await lockRun(folder);
  const other = JSON.stringify({ pid: process.pid, started: null, host: 'another-pod' });
  writeFileSync(file, other);
  await lock.release();
  assert.equal(readFileSync(file, 'utf8'), other);
});
