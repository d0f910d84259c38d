/** The cache in front of a teacher's queue: what is computed, what isn't, and what stays as without it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { AnswerCache } from '../../src/answers/answerCache.js';
import { AnswerStore } from '../../src/answers/store/answerStore.js';
import { NonFiniteOutputError } from '../../src/contract/inference.js';
import { CachedQueue } from '../../src/stream/server/cachedQueue.js';
import { RequestQueue } from '../../src/stream/server/requestQueue.js';
import { silentHooks } from '../../src/stream/server/serving.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';
import { answer } from '../support/answers/madeAnswers.js';
import { eventually } from '../support/eventually.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { newWorkLog, work } from '../support/teachers/queuedWork.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-cache-'));

const caches: AnswerCache[] = [];

afterEach(async () => {
  await closeTestServers();
  await Promise.all(caches.splice(0).map((cache) => cache.close()));
});
after(() => rmSync(folder, { recursive: true }));

interface Choices {
  readonly isOpen?: boolean;
  readonly memoryBytes?: number;
  readonly maxQueueImages?: number;
  readonly maxBatchImages?: number;
  readonly store?: AnswerStore;
}

function cached(choices: Choices = {}) {
  const { isOpen = false, memoryBytes = 1e6, maxQueueImages = 16, maxBatchImages = 1 } = choices;
  const engine = new GatedEngine(isOpen);
  const counts = new CountedAnswers();
  const cache = new AnswerCache({ memoryBytes, store: choices.store ?? null, hooks: counts.hooks });
  caches.push(cache);
  const limits = { maxImages: maxQueueImages, maxBytes: 1e9 };
  const batch = { maxImages: maxBatchImages, maxDelayMs: 0 };
  const computing = new RequestQueue(engine, limits, batch, silentHooks);
  return { engine, counts, cache, queue: new CachedQueue(computing, cache, engine.info) };
}

/** The image whose pixels are all `value`, under a name of its own. */
const same = (value: number) => ({
  image: { height: 8, width: 8, rgb: new Uint8Array(8 * 8 * 3).fill(value) },
});

test('an image that comes again is answered while the network is busy and the queue full', async () => {
  const { engine, counts, queue } = cached({ maxQueueImages: 1 });
  const log = newWorkLog();
  queue.submit(work({}, 1, log));
  await eventually(() => engine.batches.length === 1);
  engine.releaseOne();
  await eventually(() => log.results.length === 1);
  // One in the network, one that fills the queue.
  queue.submit(work({}, 2, log));
  await eventually(() => engine.batches.length === 2);
  const stream = {};
  assert.equal(queue.submit(work(stream, 3, log)), true);
  assert.equal(queue.submit(work(stream, 4, log)), false);
  assert.equal(queue.submit(work({}, 11, log, same(1))), true);
  assert.equal(queue.size, 1);
  await eventually(() => log.results.length === 2);
  assert.deepEqual(
    [log.results, log.left],
    [
      [1, 11],
      [1, 2, 11],
    ],
  );
  assert.deepEqual([counts.hits.memory, counts.misses], [1, 1]);
  engine.open();
  await eventually(() => log.results.length === 4);
  assert.deepEqual(engine.batches, [[1], [2], [3]]);
});

test('two streams that ask for one image at once: it is computed once', async () => {
  const { engine, counts, queue } = cached();
  const log = newWorkLog();
  queue.submit(work({}, 1, log));
  queue.submit(work({}, 11, log, same(1)));
  await eventually(() => engine.batches.length === 1);
  // A third while it is in the network.
  queue.submit(work({}, 12, log, same(1)));
  engine.open();
  await eventually(() => log.results.length === 3);
  assert.deepEqual(log.results, [1, 11, 12]);
  assert.deepEqual(log.left, [1, 11, 12]);
  assert.deepEqual(engine.batches, [[1]]);
  assert.deepEqual([counts.hits.memory, counts.misses], [2, 1]);
});

test('in one batch, too', async () => {
  const { engine, queue } = cached({ maxBatchImages: 4 });
  const log = newWorkLog();
  for (const name of [1, 2]) queue.submit(work({}, name, log));
  for (const name of [11, 12]) queue.submit(work({}, name, log, same(1)));
  engine.open();
  await eventually(() => log.results.length === 4);
  assert.deepEqual(engine.batches, [[1, 2]]);
});

test('the first leaves while it waits, or while it is computed: the second gets its answer', async () => {
  for (const isComputing of [false, true]) {
    const { engine, queue } = cached();
    const log = newWorkLog();
    const first = work({}, 1, log, { isWanted: () => false });
    queue.submit(first);
    queue.submit(work({}, 11, log, same(1)));
    if (isComputing) await eventually(() => engine.batches.length === 1);
    assert.equal(queue.remove(first), !isComputing);
    assert.equal(queue.remove(first), false);
    engine.open();
    await eventually(() => log.results.includes(11));
    assert.deepEqual(engine.batches, [[1]]);
    assert.equal(queue.size, 0);
  }
});

test('the second leaves: the first is not disturbed, and nothing is answered twice', async () => {
  const { engine, queue } = cached();
  const log = newWorkLog();
  const second = work({}, 11, log, same(1));
  queue.submit(work({}, 1, log));
  queue.submit(second);
  await eventually(() => engine.batches.length === 1);
  assert.equal(queue.remove(second), true);
  assert.deepEqual(log.left, [1, 11]);
  engine.open();
  await eventually(() => log.results.length === 1);
  assert.deepEqual(log.results, [1]);
});

test('a failed or non-finite answer is not kept, and not given to others', async () => {
  for (const fault of [new Error('broken'), new NonFiniteOutputError('logits: NaN')]) {
    const { engine, counts, queue } = cached();
    const log = newWorkLog();
    engine.faults.set(1, fault);
    queue.submit(work({}, 1, log));
    queue.submit(work({}, 11, log, same(1)));
    await eventually(() => engine.batches.length === 1);
    engine.releaseOne();
    await eventually(() => log.results.length === 1);
    engine.faults.clear();
    engine.open();
    await eventually(() => log.results.length === 2);
    assert.deepEqual(log.results, [-1, 11]);
    queue.submit(work({}, 12, log, same(1)));
    await eventually(() => log.results.length === 3);
    assert.deepEqual(engine.batches, [[1], [1]]);
    assert.deepEqual([counts.hits.memory, counts.misses], [1, 2]);
  }
});

test('a known answer waits for room like any other, and is given once there is some', async () => {
  const { engine, queue } = cached({ isOpen: true });
  const log = newWorkLog();
  queue.submit(work({}, 1, log));
  await eventually(() => log.results.length === 1);
  let hasRoom = false;
  let started = 0;
  const mayStart = () => hasRoom;
  const onStart = () => {
    started += 1;
  };
  assert.equal(queue.submit(work({}, 11, log, { ...same(1), mayStart, onStart })), true);
  assert.equal(queue.size, 1);
  queue.wake();
  await setTimeout(20);
  assert.deepEqual([log.results, started], [[1], 0]);
  hasRoom = true;
  queue.wake();
  await eventually(() => log.results.length === 2);
  assert.deepEqual([engine.batches, started, queue.size], [[[1]], 1, 0]);
});

test('what memory no longer holds is computed again; other outputs and sizes are other answers', async () => {
  // An answer has 12 bytes: 3 classes at one position.
  const { engine, counts, queue } = cached({ isOpen: true, memoryBytes: 30 });
  const log = newWorkLog();
  const ask = async (name: number, value: number, more = {}) => {
    const answered = log.results.length;
    queue.submit(work({}, name, log, { ...same(value), ...more }));
    await eventually(() => log.results.length > answered);
  };
  for (const value of [1, 2, 3]) await ask(value, value);
  await ask(11, 1);
  assert.deepEqual(engine.batches, [[1], [2], [3], [1]]);
  assert.equal(counts.evicted, 2);
  await ask(13, 3);
  assert.equal(engine.batches.length, 4);
  await ask(14, 3, { outputs: [{ output: 'logits', encoding: 'fp16' }] });
  await ask(15, 3, { image: { height: 16, width: 4, rgb: same(3).image.rgb } });
  assert.equal(engine.batches.length, 6);
});

test('from disk: another teacher with the same folder computes nothing, with memory or without', async () => {
  const directory = join(folder, 'shared');
  const log = newWorkLog();
  const counts = new CountedAnswers();
  const open = () => AnswerStore.open({ directory, maxBytes: 1e9, hooks: counts.hooks });
  const store = await open();
  const first = cached({ isOpen: true, store });
  for (const name of [1, 2, 3]) first.queue.submit(work({}, name, log));
  await eventually(() => log.results.length === 3);
  await first.cache.close();
  for (const [memoryBytes, fresh] of [
    [0, 4],
    [1e6, 5],
  ] as const) {
    const second = cached({ isOpen: true, store: await open(), memoryBytes });
    const answers: unknown[] = [];
    const onResult = (result: unknown) => answers.push(result);
    for (const name of [1, 2, 3]) second.queue.submit(work({}, name, log, { onResult }));
    await eventually(() => answers.length === 3);
    assert.deepEqual(second.engine.batches, []);
    assert.ok(!answers.some((result) => result instanceof Error));
    assert.deepEqual([second.counts.hits.disk, second.counts.misses], [3, 0]);
    second.queue.submit(work({}, fresh, log, { onResult }));
    await eventually(() => answers.length === 4);
    assert.deepEqual(second.engine.batches, [[fresh]]);
    await second.cache.close();
  }
});

test('over the wire: an answer from the cache has the bytes of the first; the welcome tells of it', async () => {
  const engine = new GatedEngine(false);
  const counts = new CountedAnswers();
  const answerCache = new AnswerCache({ memoryBytes: 1e6, store: null, hooks: counts.hooks });
  const plain = await startTestServer(engine);
  assert.equal((await new DistillPeer(plain.port).greet())?.cachesAnswers, false);
  const { port, answers } = await startTestServer(engine, {}, undefined, {}, { answerCache });
  const [first, second] = [new DistillPeer(port), new DistillPeer(port)];
  assert.equal((await first.greet({ creditBytes: 1e6 }))?.cachesAnswers, true);
  await second.greet({ creditBytes: 1e6, runId: 'other' });
  first.send({ image: image(1) });
  await eventually(() => engine.batches.length === 1);
  second.send({ image: image(7) });
  // The first leaves while its image is computed.
  first.close();
  await eventually(() => answers.includes('CANCELLED'));
  engine.open();
  const chunks = await second.takeAnswer(3);
  second.send({ image: image(8) });
  const again = await second.takeAnswer(3);
  assert.deepEqual(
    again.map(({ data, output }) => ({ data, output })),
    chunks.map(({ data, output }) => ({ data, output })),
  );
  assert.equal(engine.batches.length, 1);
  assert.equal(second.count('creditBytes'), 2);
  second.halfClose();
  assert.equal((await second.status).code, 0);
});

test('with room for one answer at a time, each stored answer is read once', async () => {
  const images = 24;
  let reads = 0;
  const store = {
    async read() {
      reads += 1;
      await setTimeout(1);
      return answer(1);
    },
    async close() {},
  } as unknown as AnswerStore;
  const { engine, queue } = cached({ store, memoryBytes: 0, maxQueueImages: images });
  const log = newWorkLog();
  let held = 0;
  const stream = {};
  for (let name = 1; name <= images; name++) {
    queue.submit(
      work(stream, name, log, {
        mayStart: () => held === 0,
        onStart: () => {
          held += 1;
        },
        onResult: () => {
          log.results.push(name);
          held -= 1;
          queue.wake();
        },
      }),
    );
  }
  await eventually(() => log.results.length === images);
  assert.equal(reads, images);
  assert.deepEqual(engine.batches, []);
});
