/** A store of answers whose processes are killed, whose disk is full, and that several write at once. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';
import { answer, keyOf } from '../support/answers/madeAnswers.js';
import { smallDisk } from '../support/answers/smallDisk.js';
import { eventually } from '../support/eventually.js';

const CHILD = fileURLToPath(new URL('../support/answers/writingChild.ts', import.meta.url));
const ROUNDS = 10;
const POSITIONS = 5000;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-store-faults-'));
const children = new Set<ChildProcess>();
const stores: AnswerStore[] = [];

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  await Promise.all(stores.splice(0).map((store) => store.close()));
});
after(() => rmSync(folder, { recursive: true }));

async function open(directory: string) {
  const counts = new CountedAnswers();
  const store = await AnswerStore.open({ directory, maxBytes: 2 ** 30, hooks: counts.hooks });
  stores.push(store);
  return { store, counts };
}

/** A process that stores answers; `told` is the number of the last one that it says is stored. */
class Writer {
  told = -1;
  readonly #child: ChildProcess;
  #errors = '';

  constructor(directory: string, first: number) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', CHILD, directory, String(first)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(this.#child);
    this.#child.stdout?.on('data', (text: Buffer) => {
      this.told = Number(text.toString().trim().split('\n').at(-1));
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
  }

  async stored(number: number): Promise<void> {
    await eventually(() => this.told >= number || this.#child.exitCode !== null);
    assert.equal(this.#child.exitCode, null, this.#errors);
  }

  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

test('two processes write one store and are killed, ten times: what is read is whole', async () => {
  const directory = join(folder, 'killed');
  const lasts: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const begin = round * 100_000;
    // The second begins within what the first writes: the same keys, at the same time.
    const writers = [new Writer(directory, begin), new Writer(directory, begin + 4)];
    await Promise.all(writers.map((writer) => writer.stored(begin + 7)));
    await sleep((round * 37) % 100);
    await Promise.all(writers.map((writer) => writer.kill()));
    lasts.push(Math.max(...writers.map(({ told }) => told)));
  }
  const { store, counts } = await open(directory);
  let found = 0;
  for (const [round, last] of lasts.entries()) {
    // A few more than it told of may be there.
    for (let n = round * 100_000; n < last + 8; n++) {
      const outputs = await store.read(keyOf(n));
      if (outputs !== undefined) assert.deepEqual(outputs, answer(n, POSITIONS));
      // What a process says is stored is.
      else assert.ok(n > last, `answer ${n} of round ${round} is lost, ${last} were stored`);
      found += outputs === undefined ? 0 : 1;
    }
  }
  assert.ok(found >= ROUNDS * 8, `${found} answers`);
  assert.equal(counts.corrupted, 0);
  assert.deepEqual(counts.problems, []);
});

test('a full disk: told once, counted, and what is there is still read', async (t) => {
  const disk = smallDisk(join(folder, 'full'), 1024);
  if (disk === null) return t.skip('this process may not mount a small file system (not root)');
  try {
    const { store, counts } = await open(disk.path);
    for (let n = 0; n < 12; n++) store.write(keyOf(n), answer(n, POSITIONS));
    await store.remove(keyOf(99));
    const found: number[] = [];
    for (let n = 0; n < 12; n++) {
      const outputs = await store.read(keyOf(n));
      if (outputs === undefined) continue;
      assert.deepEqual(outputs, answer(n, POSITIONS));
      found.push(n);
    }
    assert.ok(found.length >= 2 && found.length <= 6, `${found}`);
    assert.ok(counts.writeFailures > 0);
    assert.equal(counts.corrupted, 0);
    assert.equal(counts.problems.length, 1);
    assert.match(counts.problems[0]!, /^answers: writing failed, going on without: ENOSPC/);
    // Half an answer would take room for ever.
    for (const n of found) await store.remove(keyOf(n));
    await store.close();
    const { store: later } = await open(disk.path);
    later.write(keyOf(50), answer(50, POSITIONS));
    await later.close();
    const { store: last } = await open(disk.path);
    assert.deepEqual(await last.read(keyOf(50)), answer(50, POSITIONS));
  } finally {
    disk.remove();
  }
});
