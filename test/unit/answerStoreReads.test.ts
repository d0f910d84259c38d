/** Reads from the store of answers when the disk doesn't answer, and when the store is closed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';
import { answer, keyOf } from '../support/answers/madeAnswers.js';
import { eventually } from '../support/eventually.js';

const root = mkdtempSync(join(tmpdir(), 'cirkd-reads-'));
after(() => rmSync(root, { recursive: true }));

async function filled(name: string, answers: number) {
  const directory = join(root, name);
  const options = { directory, maxBytes: 2 ** 30 };
  const first = await AnswerStore.open({ ...options, hooks: new CountedAnswers().hooks });
  for (let i = 1; i <= answers; i++) first.write(keyOf(i), answer(i));
  await first.close();
  const counts = new CountedAnswers();
  const store = await AnswerStore.open({ ...options, hooks: counts.hooks });
  return { directory, store, counts };
}

/** The file that names the answer of `key`. */
function indexFile(directory: string, key: string): string {
  const found = readdirSync(join(directory, 'index-v5'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .find((file) => readFileSync(file, 'utf8').includes(key));
  assert.ok(found !== undefined, `no file names ${key}`);
  return found;
}

test('a disk that hangs: reads end after 2 s as absent, the next ones at once, and it is told once', async () => {
  const { directory, store, counts } = await filled('hung', 2);
  const file = indexFile(directory, keyOf(1));
  renameSync(file, `${file}.kept`);
  // Opening a FIFO waits for a writer: a read that doesn't return, in the system itself.
  execFileSync('mkfifo', [file]);
  const startedAtMs = performance.now();
  const reads = [1, 2, 1].map((one) => store.read(keyOf(one)));
  assert.deepEqual(await Promise.all(reads), [undefined, undefined, undefined]);
  const ms = performance.now() - startedAtMs;
  assert.ok(ms > 1900 && ms < 4000, `${ms} ms`);
  const againAtMs = performance.now();
  assert.equal(await store.read(keyOf(2)), undefined);
  assert.ok(performance.now() - againAtMs < 500, 'it was tried again at once');
  assert.deepEqual(counts.problems, [
    'answers: reading failed, going on without: the disk has not answered for 2 s',
  ]);
  // The disk answers again; the pause is over 10 s after the read that hung.
  const writer = openSync(file, 'w');
  copyFileSync(`${file}.kept`, `${file}.copy`);
  renameSync(`${file}.copy`, file);
  closeSync(writer);
  await eventually(async () => (await store.read(keyOf(2))) !== undefined, 15_000);
  assert.deepEqual(await store.read(keyOf(1)), answer(1));
  await store.close();
});

test('a store that is closed while it reads: the answers are absent, and nothing is told', async () => {
  const { store, counts } = await filled('closed', 20);
  const reads = Array.from({ length: 20 }, (_, i) => store.read(keyOf(i + 1)));
  await store.close();
  const found = await Promise.all(reads);
  assert.ok(found.includes(undefined), 'all were read before the end');
  assert.equal(await store.read(keyOf(1)), undefined);
  assert.deepEqual([counts.problems, counts.corrupted], [[], 0]);
});
