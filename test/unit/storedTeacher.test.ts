/** A teacher with a store in front: what is asked for, and what becomes of answers that aren't usable. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { StoredTeacher } from '../../src/answers/storedTeacher.js';
import type { OutputRequest } from '../../src/contract/outputs.js';
import type { Teacher, TeacherImage, TeacherReply } from '../../src/contract/teacher.js';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';

const LOGITS: readonly OutputRequest[] = [{ output: 'logits', encoding: 'fp32' }];
const INFO: TeacherInfo = {
  ...{ digest: 'sha256:1', model: 'made', classes: 2, featureChannels: 0, outputStride: 8 },
  ...{ pixelMean: [0, 0, 0], pixelStd: [1, 1, 1], channelOrder: 'rgb', alignCorners: true },
  ...{ numericMode: 'fp32', classNames: [] },
};

/** Answers each image with its first byte, when it is let. */
class MadeTeacher implements Teacher {
  readonly info = INFO;
  readonly classifier = null;
  readonly asked: string[] = [];
  value: (image: TeacherImage) => number = ({ rgb }) => rgb[0] ?? 0;
  gate: Promise<unknown> = Promise.resolve();
  isClosed = false;

  async request(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    this.asked.push(image.sample);
    await this.gate;
    signal?.throwIfAborted();
    return replyOf(this.value(image));
  }

  async requestElsewhere(image: TeacherImage): Promise<TeacherReply> {
    this.asked.push(`${image.sample} elsewhere`);
    return replyOf(this.value(image));
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** Logits alone, as of a teacher without a feature. */
function replyOf(value: number): TeacherReply {
  const data = new Float32Array(2).fill(value).buffer;
  const logits = { dtype: 'fp32', shape: [1, 1, 2], data } as const;
  return { logits, embedding: null, embeddingScale: null, featureNorm: null };
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

async function withStore(outputs = LOGITS): Promise<StoredTeacher> {
  const store = await AnswerStore.open({ directory, maxBytes: 2 ** 30, hooks: counts.hooks });
  const onStored = ({ sample }: TeacherImage) => stored.push(sample);
  const teacher = new StoredTeacher({
    teacher: made,
    outputs,
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
  const second = teacher.request(imageOf('second', 4));
  while (made.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
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
