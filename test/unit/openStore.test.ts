/** Disks that fail when a store of answers is opened: a run goes on without one. */
// @own-process: replaces functions of node:fs/promises
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, mock, test } from 'node:test';
import { openStore } from '../../services/program/openStore.js';
import { ConfigError } from '../../src/config/configError.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';

const folders: string[] = [];

afterEach(() => {
  mock.restoreAll();
  syncBuiltinESMExports();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'cirkd-open-store-')));
  return join(folders.at(-1)!, 'store');
}

function failing(method: 'mkdir' | 'readFile' | 'readdir' | 'open' | 'rename', code: string): void {
  mock.method(files, method, async () => {
    throw Object.assign(new Error(`${code}: on purpose`), { code });
  });
  syncBuiltinESMExports();
}

async function opened(directory: string) {
  const counts = new CountedAnswers();
  const settings = { directory, maxMiB: 1, hooks: counts.hooks };
  return { store: await openStore('student', 'teacher.store.directory', settings), counts };
}

for (const [method, code] of [
  ['mkdir', 'EROFS'],
  ['readFile', 'EIO'],
  ['readFile', 'ESTALE'],
  ['readdir', 'ETIMEDOUT'],
  ['open', 'ENOSPC'],
  ['rename', 'EDQUOT'],
] as const) {
  test(`${code} of ${method}: told once, and gone on without`, async () => {
    const directory = newFolder();
    failing(method, code);
    const { store, counts } = await opened(directory);
    assert.equal(store, null);
    assert.deepEqual(counts.problems, [
      `answers: opening the store failed, going on without: ${directory}: not usable (${code}: on purpose)`,
    ]);
  });
}

test('EACCES is a fault of the config', async () => {
  failing('mkdir', 'EACCES');
  await assert.rejects(opened(newFolder()), ConfigError);
});

test('the mark is on the disk before it has its name, and its name before it is used', async () => {
  const directory = newFolder();
  const steps: string[] = [];
  const open = files.open;
  mock.method(files, 'open', async (...args: Parameters<typeof open>) => {
    const file = await open(...args);
    const what = String(args[0]) === directory ? 'folder' : 'file';
    const sync = file.sync.bind(file);
    file.sync = async () => {
      if (String(args[0]).startsWith(directory)) steps.push(`sync ${what}`);
      await sync();
    };
    return file;
  });
  const rename = files.rename;
  mock.method(files, 'rename', async (...args: Parameters<typeof rename>) => {
    steps.push('rename');
    await rename(...args);
  });
  syncBuiltinESMExports();
  const { store } = await opened(directory);
  assert.deepEqual(steps, ['sync file', 'rename', 'sync folder']);
  assert.equal(readFileSync(join(directory, 'cirkd-answers.json'), 'utf8'), '{"format":1}\n');
  await store?.close();
});
