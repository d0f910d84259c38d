import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  replyOfOutputs,
  type Teacher,
  type TeacherImage,
  type TeacherReply,
} from '../../src/contract/teacher.js';
import type { Batch } from '../../src/data/types.js';
import { Feed } from '../../src/train/feed.js';
import { type Compute, type LoopOptions, runLoop } from '../../src/train/loop.js';
import type { StepOutcome } from '../../src/train/outcome.js';

function batch(step: number, crops = 2): Batch {
  const crop = (i: number) => ({
    sample: `${step}/${i}`,
    augmentationSeed: BigInt(i),
    rgb: new Uint8Array(12),
    labels: new Uint8Array(4),
  });
  const made = Array.from({ length: crops }, (_, i) => crop(i));
  const samples = made.map(({ sample }) => sample);
  return { step, height: 2, width: 2, samples, crops: made };
}

class CountingSource {
  asked = 0;
  async next(): Promise<Batch> {
    this.asked += 1;
    return batch(this.asked - 1);
  }
}

/** Answers immediately; the reply's logits name the image and its number of requests. */
class EchoTeacher implements Teacher {
  readonly classifier = null;
  readonly info = {} as Teacher['info'];
  readonly asked: string[] = [];
  readonly askedElsewhere: string[] = [];

  async request(image: TeacherImage): Promise<TeacherReply> {
    this.asked.push(image.sample);
    return reply(image.sample);
  }
  async requestElsewhere(image: TeacherImage, _signal?: AbortSignal): Promise<TeacherReply> {
    this.askedElsewhere.push(image.sample);
    return reply(`${image.sample} again`);
  }
  async close(): Promise<void> {}
}

function reply(name: string): TeacherReply {
  const data = new TextEncoder().encode(name).buffer as ArrayBuffer;
  const tensor = { dtype: 'fp32' as const, shape: [1], data };
  return { ...replyOfOutputs(() => tensor), embeddingScale: null };
}

const nameOf = ({ logits }: TeacherReply) => new TextDecoder().decode(logits!.data);

test('batches and replies come in order, prefetched no further than requested', async () => {
  const source = new CountingSource();
  const teacher = new EchoTeacher();
  const feed = new Feed(source, teacher, 2, 5);
  const first = await feed.next();
  assert.equal(first.batch.step, 0);
  assert.deepEqual(first.replies?.map(nameOf), ['0/0', '0/1']);
  // the current one is done, the two after it are in flight
  assert.equal(source.asked, 3);
  for (const step of [1, 2, 3, 4]) {
    const { batch, replies } = await feed.next();
    assert.equal(batch.step, step);
    assert.deepEqual(replies?.map(nameOf), [`${step}/0`, `${step}/1`]);
  }
  assert.equal(source.asked, 5);
  await assert.rejects(feed.next(), /more batches requested than the run has/);
});

test('without prefetch nothing is requested ahead', async () => {
  const source = new CountingSource();
  const teacher = new EchoTeacher();
  const feed = new Feed(source, teacher, 0, 2);
  assert.equal(source.asked, 0);
  await feed.next();
  assert.equal(source.asked, 1);
  assert.deepEqual(teacher.asked, ['0/0', '0/1']);
  await feed.next();
  assert.equal(source.asked, 2);
});

test('an error is reported at its own step, not before', async () => {
  const source = {
    step: 0,
    async next() {
      if (this.step === 2) throw new Error('file c.png: truncated');
      this.step += 1;
      return batch(this.step - 1);
    },
  };
  const feed = new Feed(source, null, 3, 4);
  assert.equal((await feed.next()).replies, null);
  assert.equal((await feed.next()).batch.step, 1);
  await assert.rejects(feed.next(), /c\.png/);
  feed.close();
});

const committed = (value: number): StepOutcome => ({
  kind: 'committed',
  terms: { task: value, total: value },
  learningRate: 0.1,
  bankFill: {},
});

function loop(compute: Compute, more: Partial<LoopOptions> = {}): LoopOptions {
  const teacher = new EchoTeacher();
  return {
    firstStep: 0,
    steps: 3,
    accumulateSteps: 1,
    feed: new Feed(new CountingSource(), teacher, 1, 3),
    teacher,
    compute,
    stop: new AbortController().signal,
    afterStep: () => {},
    ...more,
  };
}

test('each step reports its crops; the micro-batches of a step belong together', async () => {
  const seen: string[][] = [];
  const sizes: number[] = [];
  const compute: Compute = {
    async step(_step, microBatches) {
      sizes.push(microBatches.length);
      return committed(1);
    },
    retry: () => assert.fail('nothing to retry'),
  };
  const feed = new Feed(new CountingSource(), null, 1, 4);
  const { ended } = await runLoop(
    loop(compute, {
      ...{ feed, teacher: null, steps: 2, accumulateSteps: 2 },
      afterStep: ({ samples }) => {
        seen.push([...samples]);
      },
    }),
  );
  assert.equal(ended, 'finished');
  assert.deepEqual(sizes, [2, 2]);
  assert.deepEqual(seen, [
    ['0/0', '0/1', '1/0', '1/1'],
    ['2/0', '2/1', '3/0', '3/1'],
  ]);
});

test('a reply that is not finite is requested from another teacher, once', async () => {
  const retried: string[] = [];
  const compute: Compute = {
    step: async (step) =>
      step === 1 ? { kind: 'nonfinite_reply', images: [{ microBatch: 0, crop: 1 }] } : committed(2),
    async retry(_step, replacements) {
      retried.push(...replacements.map(({ reply }) => nameOf(reply)));
      return committed(2);
    },
  };
  const options = loop(compute);
  assert.equal((await runLoop(options)).ended, 'finished');
  assert.deepEqual((options.teacher as EchoTeacher).askedElsewhere, ['1/1']);
  assert.deepEqual(retried, ['1/1 again']);
});

test('a second reply or a loss that is not finite ends the run with a message that names it', async () => {
  const nonfiniteReply: StepOutcome = {
    kind: 'nonfinite_reply',
    images: [{ microBatch: 0, crop: 0 }],
  };
  const replies: Compute = { step: async () => nonfiniteReply, retry: async () => nonfiniteReply };
  await assert.rejects(runLoop(loop(replies)), {
    name: 'NonFiniteReplyError',
    message: /step 0: teacher reply not finite, asked twice, for 0\/0/,
  });
  const terms = { task: Number.NaN, logits_kd: 0.5, total: Number.NaN };
  const loss: Compute = {
    step: async () => ({ kind: 'nonfinite', terms, gradient: 'head.block.4.weight' }),
    retry: () => assert.fail('a loss is not retried'),
  };
  await assert.rejects(runLoop(loop(loss)), {
    name: 'NonFiniteLossError',
    message: /task=NaN logits_kd=0.5 total=NaN; gradient of head\.block\.4\.weight/,
  });
});

test('a stop ends the run between steps, also while it waits for data', async () => {
  const stop = new AbortController();
  const compute: Compute = {
    step: async () => committed(1),
    retry: () => assert.fail('nothing to retry'),
  };
  const never = { next: () => new Promise<Batch>(() => {}) };
  const waiting = runLoop(
    loop(compute, { feed: new Feed(never, null, 0, 3), teacher: null, stop: stop.signal }),
  );
  stop.abort();
  assert.equal((await waiting).ended, 'stopped');
});

test('a stop while an image is requested again ends the run, and so does a stop in afterStep', async () => {
  const stop = new AbortController();
  const compute: Compute = {
    step: async () => ({ kind: 'nonfinite_reply', images: [{ microBatch: 0, crop: 0 }] }),
    retry: () => assert.fail('no answer came'),
  };
  const teacher = new EchoTeacher();
  teacher.requestElsewhere = (_image, signal?: AbortSignal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason));
      stop.abort();
    });
  assert.equal((await runLoop(loop(compute, { teacher, stop: stop.signal }))).ended, 'stopped');
  const second = new AbortController();
  const steady: Compute = { ...compute, step: async () => committed(1) };
  const afterStep = async () => {
    second.abort();
    second.signal.throwIfAborted();
  };
  assert.equal((await runLoop(loop(steady, { stop: second.signal, afterStep }))).ended, 'stopped');
  const failing = loop(steady, {
    stop: second.signal,
    feed: new Feed(new CountingSource(), null, 0, 3),
    afterStep: () => assert.fail('not after a stop'),
  });
  assert.equal((await runLoop(failing)).ended, 'stopped');
});
