/** A teacher with a store in front: what is asked for, and what becomes of answers that aren't usable. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { StoredTeacher } from '../../src/answers/storedTeacher.js';
import type { OutputRequest } from '../../src/contract/outputs.js';
import {
  replyOfOutputs,
  type Teacher,
  type TeacherImage,
  type TeacherReply,
} from '../../src/contract/teacher.js';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import { expectedOutputs } from '../../src/stream/codec/outputShapes.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';

const LOGITS: readonly OutputRequest[] = [{ output: 'logits', encoding: 'fp32' }];
const INFO: TeacherInfo = {
  ...{ digest: 'sha256:1', model: 'made', classes: 2, featureChannels: 0, outputStride: 8 },
  ...{ hasAuxLogits: false },
  ...{ pixelMean: [0, 0, 0], pixelStd: [1, 1, 1], channelOrder: 'rgb', alignCorners: true },
  ...{ numericMode: 'fp32', classNames: [] },
};

/** Answers each image with its first byte, when it is let. */
class MadeTeacher implements Teacher {
  info = INFO;
  readonly classifier = null;
  readonly asked: string[] = [];
  value: (image: TeacherImage) => number = ({ rgb }) => rgb[0] ?? 0;
  shape = [1, 1, 2];
  gate: Promise<unknown> = Promise.resolve();
  isClosed = false;

  async request(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    this.asked.push(image.sample);
    await this.gate;
    signal?.throwIfAborted();
    return replyOf(this.value(image), this.shape);
  }

  async requestElsewhere(image: TeacherImage): Promise<TeacherReply> {
    this.asked.push(`${image.sample} elsewhere`);
    await this.gate;
    return replyOf(this.value(image), this.shape);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** Logits alone, as of a teacher without a feature. */
function replyOf(value: number, shape = [1, 1, 2]): TeacherReply {
  const data = new Float32Array(shape.reduce((a, b) => a * b)).fill(value).buffer;
  const logits = { dtype: 'fp32', shape, data } as const;
  return { ...replyOfOutputs(() => null), logits };
}

function imageOf(sample: string, value: number): TeacherImage {
  const rgb = new Uint8Array(8 * 8 * 3).fill(value);
  return { sample, augmentationSeed: 0n, height: 8, width: 8, rgb };
}

const root = mkdtempSync(join(tmpdir(), 'cirkd-stored-teacher-'));
let folders = 0;
let directory: string;
let made: MadeTeacher;
let counts: CountedAnswers;
let stored: string[];
const open = new Set<StoredTeacher>();

async function withStore(outputs = LOGITS, scope = () => ''): Promise<StoredTeacher> {
  const { info } = made;
  const store = await AnswerStore.open({ directory, maxBytes: 2 ** 30, hooks: counts.hooks });
  const onStored = ({ sample }: TeacherImage) => stored.push(sample);
  const teacher = new StoredTeacher({
    teacher: made,
    form: {
      outputs,
      expectedFor: (size) => expectedOutputs(size, info, outputs),
      get answerScope() {
        return scope();
      },
    },
    store,
    hooks: counts.hooks,
    onStored,
  });
  open.add(teacher);
  return teacher;
}

beforeEach(() => {
  directory = join(root, String(folders++));
  made = new MadeTeacher();
  counts = new CountedAnswers();
  stored = [];
});
afterEach(async () => {
  await Promise.all([...open].map((teacher) => teacher.close()));
  open.clear();
});
after(() => rmSync(root, { recursive: true }));

test('what was answered once is not asked for again, in this run and in the next', async () => {
  const teacher = await withStore();
  assert.deepEqual(await teacher.request(imageOf('a', 1)), replyOf(1));
  assert.deepEqual(await teacher.request(imageOf('b', 2)), replyOf(2));
  // Another sample with the same pixels.
  assert.deepEqual(await teacher.request(imageOf('c', 1)), replyOf(1));
  await teacher.close();
  assert.equal(made.isClosed, true);
  const next = await withStore();
  assert.deepEqual(await next.request(imageOf('a', 1)), replyOf(1));
  assert.deepEqual(made.asked, ['a', 'b']);
  assert.deepEqual(stored, ['c', 'a']);
  assert.deepEqual([counts.hits.disk, counts.misses], [2, 2]);
});

test('asked for twice at once: asked for once; if the first fails the second asks itself', async () => {
  const teacher = await withStore();
  const both = await Promise.all(['a', 'b'].map((sample) => teacher.request(imageOf(sample, 3))));
  assert.deepEqual(both, [replyOf(3), replyOf(3)]);
  assert.equal(made.asked.length, 1);
  const stop = new AbortController();
  let go = () => {};
  made.gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const first = teacher.request(imageOf('first', 4), stop.signal);
  while (made.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const second = teacher.request(imageOf('second', 4));
  stop.abort(new Error('given up'));
  go();
  await assert.rejects(first, /given up/);
  assert.deepEqual(await second, replyOf(4));
  assert.equal(made.asked.length, 3);
});

test('an answer that is not finite is never stored; asking elsewhere forgets what there is', async () => {
  const teacher = await withStore();
  made.value = () => Number.NaN;
  await teacher.request(imageOf('a', 1));
  made.value = () => 5;
  // Stored, and found to be unusable by the student.
  await teacher.request(imageOf('b', 2));
  made.value = () => 6;
  assert.deepEqual(await teacher.requestElsewhere(imageOf('b', 2)), replyOf(6));
  await teacher.close();
  const next = await withStore();
  assert.deepEqual(await next.request(imageOf('a', 1)), replyOf(6));
  assert.deepEqual(await next.request(imageOf('b', 2)), replyOf(6));
  assert.deepEqual(made.asked, ['a', 'b', 'b elsewhere', 'a']);
});

test('other outputs are other answers', async () => {
  await (await withStore()).request(imageOf('a', 1));
  const halves = await withStore([{ output: 'logits', encoding: 'fp16' }]);
  await halves.request(imageOf('a', 1));
  assert.deepEqual(made.asked, ['a', 'a']);
});

test('another way to ask and read has other answers, under the same digest', async () => {
  const scopes = ['', 'oip imagenet', 'oip unit'];
  for (const scope of scopes) {
    const teacher = await withStore(LOGITS, () => scope);
    await teacher.request(imageOf('a', 1));
    await teacher.request(imageOf('b', 1));
    await teacher.close();
  }
  assert.deepEqual(made.asked, ['a', 'a', 'a']);
});

test('a reply during which another kind of teacher joined is not stored', async () => {
  let scope = 'one';
  const teacher = await withStore(LOGITS, () => scope);
  let go = () => {};
  made.gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const first = teacher.request(imageOf('a', 1));
  while (made.asked.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  scope = 'one and two';
  go();
  await first;
  scope = 'one';
  await teacher.request(imageOf('b', 1));
  assert.deepEqual(made.asked, ['a', 'b']);
});

test('a stored answer of another form than agreed is removed, and asked for again', async () => {
  const store = await withStore();
  await store.request(imageOf('a', 1));
  await store.close();
  made.info = { ...INFO, classes: 3 };
  made.value = () => 7;
  made.shape = [1, 1, 3];
  const other = await withStore();
  const { logits } = await other.request(imageOf('b', 1));
  assert.deepEqual(logits?.shape, [1, 1, 3]);
  assert.deepEqual([counts.corrupted, counts.hits.disk, counts.misses], [1, 0, 2]);
  assert.deepEqual((await other.request(imageOf('c', 1))).logits?.shape, [1, 1, 3]);
  assert.deepEqual(made.asked, ['a', 'b']);
});

test('one that gives up while it waits lets nobody past the one that is asked', async () => {
  const teacher = await withStore();
  let go = () => {};
  made.gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const a = teacher.request(imageOf('a', 1));
  while (made.asked.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  const stop = new AbortController();
  const b = teacher.request(imageOf('b', 1), stop.signal);
  setTimeout(() => stop.abort(new Error('given up')), 20);
  await assert.rejects(b, /given up/);
  const c = teacher.request(imageOf('c', 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  go();
  assert.deepEqual(await Promise.all([a, c]), [replyOf(1), replyOf(1)]);
  assert.deepEqual(made.asked, ['a']);
});

test('one that is asked for elsewhere is waited for', async () => {
  const teacher = await withStore();
  let go = () => {};
  made.gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const elsewhere = teacher.requestElsewhere(imageOf('a', 1));
  while (made.asked.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  const later = teacher.request(imageOf('b', 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  go();
  await Promise.all([elsewhere, later]);
  assert.deepEqual(made.asked, ['a elsewhere']);
});
