/** The store of answers on disk: what it keeps, what it refuses, and what damage does to it. */
import assert from 'node:assert/strict';
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
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { answerKey, answerKeyInBackground } from '../../src/answers/answerKey.js';
import { packAnswer, unpackAnswer } from '../../src/answers/packedAnswer.js';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { DiskStore } from '../../src/answers/store/diskStore.js';
import { claimStoreFolder, StoreFolderError } from '../../src/answers/store/storeFolder.js';
import type { EncodedOutput } from '../../src/contract/outputs.js';
import { TensorFormatError } from '../../src/wire/checkTensor.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';
import { answer, keyOf } from '../support/answers/madeAnswers.js';

const root = mkdtempSync(join(tmpdir(), 'cirkd-answers-'));
const opened: AnswerStore[] = [];
let folders = 0;

after(() => rmSync(root, { recursive: true }));
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
});

const newFolder = () => join(root, String(folders++));

async function open(directory: string, maxBytes = 2 ** 30) {
  const counts = new CountedAnswers();
  const store = await AnswerStore.open({ directory, maxBytes, hooks: counts.hooks });
  opened.push(store);
  return { store, counts };
}

/** All files of the answers themselves. */
function contentFiles(directory: string): string[] {
  return readdirSync(join(directory, 'content-v2'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

test('an answer is read as it was written, at once, later and by another store', async () => {
  const directory = newFolder();
  const { store } = await open(directory);
  assert.equal(await store.read(keyOf(1)), undefined);
  store.write(keyOf(1), answer(1));
  assert.deepEqual(await store.read(keyOf(1)), answer(1));
  await store.close();
  const later = await open(directory);
  assert.deepEqual(await later.store.read(keyOf(1)), answer(1));
  assert.equal(await later.store.read(keyOf(2)), undefined);
  await later.store.remove(keyOf(1));
  assert.equal(await later.store.read(keyOf(1)), undefined);
});

test('writing copies: the caller may transfer its buffers at once', async () => {
  const { store } = await open(newFolder());
  const given = answer(3);
  store.write(keyOf(3), given);
  structuredClone(given, { transfer: given.map(({ tensor }) => tensor.data) });
  await store.remove(keyOf(9));
  assert.deepEqual(await store.read(keyOf(3)), answer(3));
});

test('an answer with a NaN or an infinity is not stored', async () => {
  const directory = newFolder();
  const { store } = await open(directory);
  for (const [n, value] of [Number.NaN, Number.POSITIVE_INFINITY].entries()) {
    const broken = answer(n);
    new Float32Array(broken[0]!.tensor.data)[2] = value;
    store.write(keyOf(n), broken);
  }
  store.write(keyOf(7), answer(7));
  await store.close();
  const { store: later } = await open(directory);
  const found = await Promise.all([0, 1, 7].map((n) => later.read(keyOf(n))));
  assert.deepEqual(
    found.map((outputs) => outputs !== undefined),
    [false, false, true],
  );
});

test('a flipped bit, a truncated and a lengthened file are noticed, counted and removed', async () => {
  const directory = newFolder();
  const { store } = await open(directory);
  const damages: ((path: string) => void)[] = [
    (path) => {
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(path, bytes);
    },
    (path) => writeFileSync(path, readFileSync(path).subarray(0, 50)),
    (path) => writeFileSync(path, ''),
    (path) => appendFileSync(path, 'x'),
  ];
  for (const n of damages.keys()) store.write(keyOf(n), answer(n));
  await store.close();
  const paths = contentFiles(directory);
  assert.equal(paths.length, damages.length);
  for (const [n, damage] of damages.entries()) damage(paths[n]!);
  const { store: later, counts } = await open(directory);
  for (const n of damages.keys()) assert.equal(await later.read(keyOf(n)), undefined);
  assert.equal(counts.corrupted, damages.length);
  assert.deepEqual(contentFiles(directory), []);
  for (const n of damages.keys()) later.write(keyOf(n), answer(n));
  await later.close();
  const { store: again } = await open(directory);
  for (const n of damages.keys()) assert.deepEqual(await again.read(keyOf(n)), answer(n));
});

test('any single damaged byte of any file leads to the right answer or to none', async () => {
  const directory = newFolder();
  const disk = new DiskStore(directory, 2 ** 30);
  const [key, outputs] = [keyOf(5), answer(5)];
  const files = () =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  let wrong = 0;
  for (let at = 0; at < 400; at += 13) {
    rmSync(directory, { recursive: true, force: true });
    await disk.write(key, packAnswer(outputs));
    for (const path of files()) {
      const bytes = readFileSync(path);
      bytes[at % bytes.length]! ^= 1 << (at & 7);
      writeFileSync(path, bytes);
      const read = await disk.read(key);
      if (read.kind !== 'found') wrong += 1;
      else assert.deepEqual(read.outputs, outputs);
      await disk.write(key, packAnswer(outputs));
      // What the damage left may take one more reading to be noticed.
      if ((await disk.read(key)).kind !== 'found') await disk.write(key, packAnswer(outputs));
      const mended = await disk.read(key);
      assert.ok(mended.kind === 'found', mended.kind);
      assert.deepEqual(mended.outputs, outputs);
    }
  }
  assert.ok(wrong > 60, `${wrong} noticed`);
});

test('the bound holds, and what was used lately stays', async () => {
  const directory = newFolder();
  const disk = new DiskStore(directory, 20 * 8192);
  let evicted = 0;
  for (let n = 0; n < 60; n++) {
    const written = await disk.write(keyOf(n), packAnswer(answer(n)));
    evicted += written.evicted;
    // One answer is read again and again.
    if (n > 0) assert.equal((await disk.read(keyOf(0))).kind, 'found', `after ${n}`);
    assert.ok(contentFiles(directory).length <= 21, `${contentFiles(directory).length} files`);
    // The clock of a file system may be coarse.
    for (const path of contentFiles(directory)) age(path);
    await disk.read(keyOf(0));
  }
  assert.ok(evicted >= 39, `${evicted} evicted`);
  assert.equal((await disk.read(keyOf(59))).kind, 'found');
  assert.equal((await disk.read(keyOf(1))).kind, 'absent');
  const { answers, bytes } = await disk.sweep();
  assert.equal(answers, contentFiles(directory).length);
  assert.ok(bytes <= 20 * 8192, `${bytes} bytes`);
  // Their keys are gone, too.
  const keys = readdirSync(join(directory, 'index-v5'), { recursive: true, withFileTypes: true });
  assert.ok(keys.filter((entry) => entry.isFile()).length <= answers + 1);
});

function age(path: string): void {
  const { mtimeMs } = statSync(path);
  const earlier = new Date(mtimeMs - 10_000);
  utimesSync(path, earlier, earlier);
}

test('what killed processes left under first names is removed, what is being written is not', async () => {
  const directory = newFolder();
  mkdirSync(join(directory, 'tmp'), { recursive: true });
  const [old, fresh] = [join(directory, 'tmp', 'old'), join(directory, 'tmp', 'fresh')];
  for (const path of [old, fresh]) writeFileSync(path, 'half an ans');
  const hourAgo = new Date(Date.now() - 3_600_000);
  utimesSync(old, hourAgo, hourAgo);
  await new DiskStore(directory, 2 ** 30).sweep();
  assert.deepEqual(readdirSync(join(directory, 'tmp')), ['fresh']);
});

test('an answer that is larger than the bound is not stored, and counted', async () => {
  const { store, counts } = await open(newFolder(), 4096);
  store.write(keyOf(1), answer(1));
  await store.remove(keyOf(9));
  assert.equal(counts.writeFailures, 1);
  assert.match(counts.problems.join(), /an answer takes 8192 bytes, the bound is smaller/);
});

test('a folder of something else, of another format, or that is a file is refused by name', async () => {
  const foreign = newFolder();
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'thesis.tex'), '');
  const future = newFolder();
  mkdirSync(future);
  writeFileSync(join(future, 'cirkd-answers.json'), '{"format": 2}');
  const unnamed = newFolder();
  mkdirSync(unnamed);
  writeFileSync(join(unnamed, 'cirkd-answers.json'), 'null');
  const broken = newFolder();
  mkdirSync(join(broken, 'photos'), { recursive: true });
  writeFileSync(join(broken, 'cirkd-answers.json'), '{"form');
  const unmarked = newFolder();
  mkdirSync(join(unmarked, 'content-v2'), { recursive: true });
  const file = newFolder();
  writeFileSync(file, '');
  const faults = [
    [foreign, /holds other files \(thesis\.tex\), wanted an empty folder or a store of answers$/],
    [future, /a store of answers in format 2, wanted format 1: /],
    [unnamed, /a store of answers in format unknown, wanted format 1: /],
    [broken, /holds other files \(photos\), wanted an empty folder or a store of answers$/],
    [unmarked, /holds other files \(content-v2\), wanted an empty folder or a store of answers$/],
    [file, /not usable \(.*(EEXIST|ENOTDIR)/],
  ] as const;
  for (const [directory, wanted] of faults) {
    await assert.rejects(open(directory), (error: Error) => {
      assert.ok(error instanceof StoreFolderError);
      assert.ok(error.message.startsWith(`${directory}: `), error.message);
      assert.match(error.message, wanted);
      return true;
    });
  }
  assert.deepEqual(readdirSync(foreign), ['thesis.tex']);
});

for (const left of ['', '{"form', '\0\0\0']) {
  test(`a mark of which a crash left ${JSON.stringify(left)}: the store is used as it is`, async () => {
    const directory = newFolder();
    await claimStoreFolder(directory);
    const disk = new DiskStore(directory, 2 ** 30);
    await disk.write(keyOf(1), packAnswer(answer(1)));
    const mark = join(directory, 'cirkd-answers.json');
    const whole = readFileSync(mark, 'utf8');
    writeFileSync(mark, left);
    await claimStoreFolder(directory);
    assert.deepEqual(await disk.read(keyOf(1)), { kind: 'found', outputs: answer(1) });
    assert.equal(readFileSync(mark, 'utf8'), whole);
  });
}

test('stores that are opened at once on a new folder share it', async () => {
  const directory = newFolder();
  const stores = await Promise.all([1, 2, 3].map(() => open(directory)));
  for (const [n, { store }] of stores.entries()) store.write(keyOf(n), answer(n));
  await Promise.all(stores.map(({ store }) => store.close()));
  const { store } = await open(directory);
  for (const n of stores.keys()) assert.deepEqual(await store.read(keyOf(n)), answer(n));
});

test('what is not exactly one packed answer is refused', () => {
  const packed = packAnswer(answer(1));
  assert.deepEqual(unpackAnswer(packed), answer(1));
  const longer = new Uint8Array([...packed, 0]);
  for (const bytes of [packed.subarray(0, 3), packed.subarray(0, 40), longer, new Uint8Array(9)]) {
    assert.throws(() => unpackAnswer(bytes), TensorFormatError);
  }
  const lying: EncodedOutput[] = [
    { output: 'logits', tensor: { dtype: 'fp32', shape: [3], data: new ArrayBuffer(8) } },
  ];
  assert.throws(() => packAnswer(lying), TensorFormatError);
});

test('a key follows from digest, numeric mode, size, bytes and outputs, and from nothing else', async () => {
  const answerer = { digest: 'sha256:1', numericMode: 'fp32' };
  const image = { height: 2, width: 4, rgb: new Uint8Array(24) };
  const outputs = [
    { output: 'embedding', encoding: 'fp16' },
    { output: 'feature_norm', encoding: 'fp32' },
  ] as const;
  const key = answerKey(answerer, outputs, image);
  assert.match(key, /^[0-9a-f]{64}$/);
  assert.equal(await answerKeyInBackground(answerer, outputs, image), key);
  assert.equal(answerKey({ ...answerer }, [outputs[1], outputs[0]], image), key);
  // Norms always travel as fp32.
  assert.equal(
    answerKey(answerer, [outputs[0], { output: 'feature_norm', encoding: 'fp16' }], image),
    key,
  );
  const others = [
    answerKey({ ...answerer, digest: 'sha256:2' }, outputs, image),
    answerKey({ ...answerer, numericMode: 'bf16' }, outputs, image),
    answerKey(answerer, [outputs[0]], image),
    answerKey(answerer, [{ output: 'embedding', encoding: 'fp32' }, outputs[1]], image),
    answerKey(answerer, outputs, { ...image, height: 4, width: 2 }),
    answerKey(answerer, outputs, { ...image, rgb: new Uint8Array(24).fill(1, 23) }),
  ];
  assert.equal(new Set([key, ...others]).size, 7);
});
