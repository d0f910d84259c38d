import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { type BatchPolicy, RequestQueue } from '../../src/stream/server/requestQueue.js';
import { silentHooks } from '../../src/stream/server/serving.js';
import { eventually } from '../support/eventually.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { newWorkLog, work } from '../support/teachers/queuedWork.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

const single: BatchPolicy = { maxImages: 1, maxDelayMs: 0 };

function queueOf(engine: GatedEngine, batch: BatchPolicy, capacity = 100) {
  const log = newWorkLog();
  const limits = { maxImages: capacity, maxBytes: 1e9 };
  return { log, queue: new RequestQueue(engine, limits, batch, silentHooks) };
}

test('streams take turns, each in its own order', async () => {
  const engine = new GatedEngine(true);
  const { log, queue } = queueOf(engine, single);
  const [a, b, c] = [{}, {}, {}];
  for (const name of [11, 12, 13, 14]) queue.submit(work(a, name, log));
  for (const name of [21, 22]) queue.submit(work(b, name, log));
  queue.submit(work(c, 31, log));
  await eventually(() => log.results.length === 7);
  assert.deepEqual(engine.batches.flat(), [11, 21, 31, 12, 22, 13, 14]);
  assert.deepEqual(log.results, [11, 21, 31, 12, 22, 13, 14]);
});

test('a full queue refuses images; slots are free again when images leave', async () => {
  const engine = new GatedEngine(false);
  const { log, queue } = queueOf(engine, single, 2);
  const stream = {};
  const second = work(stream, 2, log);
  assert.ok(queue.submit(work(stream, 1, log)), 'the first is not taken');
  assert.ok(queue.submit(second), 'the second is not taken');
  assert.equal(queue.submit(work(stream, 3, log)), false);
  assert.ok(queue.remove(second), 'the second did not wait');
  assert.equal(queue.remove(second), false);
  assert.ok(queue.submit(work(stream, 4, log)), 'the free place is not given');
  await eventually(() => engine.batches.length === 1);
  assert.equal(queue.size, 1);
  engine.open();
  await eventually(() => log.results.length === 2);
  assert.deepEqual(log.results, [1, 4]);
  assert.deepEqual(log.left, [2, 1, 4]);
});

test('batches hold images of one size, from all streams', async () => {
  const engine = new GatedEngine(true);
  const { log, queue } = queueOf(engine, { maxImages: 3, maxDelayMs: 0 });
  const [a, b] = [{}, {}];
  queue.submit(work(a, 11, log));
  queue.submit(work(a, 12, log, { height: 16 }));
  queue.submit(work(a, 13, log));
  for (const name of [21, 22, 23]) queue.submit(work(b, name, log));
  await eventually(() => log.results.length === 6);
  // 12 is of another size: b's images go on, then 12 alone, then 13.
  assert.deepEqual(engine.batches, [[11, 21, 22], [12], [23, 13]]);
});

test('a batch holds no more pixels than the engine gains by, but at least one image', async () => {
  const engine = Object.assign(new GatedEngine(true), { batchPixels: 3 * 64 });
  const { log, queue } = queueOf(engine, { maxImages: 4, maxDelayMs: 100_000 });
  const stream = {};
  for (const name of [1, 2, 3]) queue.submit(work(stream, name, log));
  // Neither waits for images that couldn't join it.
  queue.submit(work(stream, 4, log, { height: 32 }));
  await eventually(() => log.results.length === 4);
  assert.deepEqual(engine.batches, [[1, 2, 3], [4]]);
});

test('an image waits for others to fill its batch, but not forever', async () => {
  const engine = new GatedEngine(true);
  const { log, queue } = queueOf(engine, { maxImages: 2, maxDelayMs: 100_000 });
  const stream = {};
  queue.submit(work(stream, 1, log));
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.deepEqual(engine.batches, []);
  queue.submit(work(stream, 2, log));
  await eventually(() => log.results.length === 2);
  assert.deepEqual(engine.batches, [[1, 2]]);

  const hasty = queueOf(new GatedEngine(true), { maxImages: 2, maxDelayMs: 20 });
  hasty.queue.submit(work(stream, 3, hasty.log));
  await eventually(() => hasty.log.results.length === 1);
});

test('a failed batch is retried image by image: only the faulty one fails', async () => {
  const engine = new GatedEngine(true);
  const infer = engine.infer.bind(engine);
  const tried: number[][] = [];
  engine.infer = async (images, outputs) => {
    const names = images.map(({ rgb }) => rgb[0] ?? -1);
    tried.push(names);
    if (names.includes(2)) throw new Error('no memory');
    return infer(images, outputs);
  };
  const { log, queue } = queueOf(engine, { maxImages: 4, maxDelayMs: 0 });
  for (const name of [1, 2, 3]) queue.submit(work({}, name, log));
  queue.submit(work({}, 4, log, { isWanted: () => false }));
  queue.submit(work({}, 5, log));
  await eventually(() => log.results.length === 5);
  // 4, whose client has left, isn't tried again.
  assert.deepEqual(tried, [[1, 2, 3, 4], [1], [2], [3], [5]]);
  assert.deepEqual(log.results, [1, -2, 3, -4, 5]);
});

test('when a stream ends, the results of its running images are discarded, and other streams continue', async () => {
  const engine = new GatedEngine(false);
  const held: number[] = [];
  const hooks = { onAnswerBytes: (bytes: number) => held.push(bytes) };
  const batch = { maxImages: 2, maxDelayMs: 0 };
  const { port, answers } = await startTestServer(engine, {}, batch, hooks);
  const leaving = new DistillPeer(port);
  const staying = new DistillPeer(port);
  await leaving.greet();
  await staying.greet();
  leaving.send({ image: image(1, 1) });
  await eventually(() => engine.batches.length === 1);
  leaving.send({ image: image(2, 2) });
  staying.send({ image: image(3, 3) });
  engine.releaseOne();
  await eventually(() => engine.batches.length === 2);
  leaving.close();
  await eventually(() => answers.includes('CANCELLED'));
  engine.open();
  assert.equal((await staying.takeAnswer(3))[0]?.id, 3);
  await eventually(() => held.at(-1) === 0);
});

test('an image is dropped once less time is left than any pass took, but not for a short time-out alone', async () => {
  const engine = new GatedEngine(false);
  const { log, queue } = queueOf(engine, single);
  const stream = {};
  const begunAtMs = performance.now();
  queue.submit(work(stream, 1, log));
  await eventually(() => engine.batches.length === 1);
  await setTimeout(100);
  engine.releaseOne();
  await eventually(() => log.results.length === 1);
  const passMs = performance.now() - begunAtMs;
  // Behind 2, with 3's time running out.
  queue.submit(work(stream, 2, log));
  queue.submit(work(stream, 3, log, { timeoutMs: 2 * passMs }));
  await eventually(() => engine.batches.length === 2);
  await setTimeout(2 * passMs);
  queue.submit(work(stream, 4, log, { timeoutMs: 50 }));
  engine.open();
  await eventually(() => log.results.length === 3);
  assert.deepEqual([log.late, log.results], [[3], [1, 2, 4]]);
  assert.deepEqual(engine.batches, [[1], [2], [4]]);
});

test('over the wire: a full queue gives that image a retryable RESOURCE_EXHAUSTED', async () => {
  const engine = new GatedEngine(false);
  const { port } = await startTestServer(engine, { maxQueueImages: 1 });
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: image(1, 1) });
  await eventually(() => engine.batches.length === 1);
  peer.send({ image: image(2, 2) });
  peer.send({ image: image(3, 3) });
  const error = (await peer.take('error')).error;
  assert.deepEqual(
    [error?.id, error?.code, error?.retryable],
    [3, GrpcStatus.RESOURCE_EXHAUSTED, true],
  );
  assert.match(error?.message ?? '', /the queue is full; images waiting: 1/);
  engine.open();
  const chunks = await peer.takeAnswer(6);
  assert.deepEqual(new Set(chunks.map(({ id }) => id)), new Set([1, 2]));
});
