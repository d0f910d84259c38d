import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { silentHooks } from '../../src/stream/serverHooks.js';
import { type BatchPolicy, type Work, WorkQueue } from '../../src/stream/workQueue.js';
import { DistillPeer, image } from '../support/distillPeer.js';
import { eventually } from '../support/eventually.js';
import { GatedEngine } from '../support/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teacherServer.js';

afterEach(closeTestServers);

const single: BatchPolicy = { maxImages: 1, maxDelayMs: 0 };

interface Log {
  readonly left: number[];
  readonly results: number[];
}

/** Work whose image has one pixel value, its name. */
function work(stream: object, name: number, log: Log, height = 8): Work {
  return {
    stream,
    image: { height, width: 8, rgb: new Uint8Array(height * 8 * 3).fill(name) },
    outputs: [{ output: 'logits', encoding: 'fp32' }],
    mayStart: () => true,
    onStart: () => {},
    onLeave: () => log.left.push(name),
    onEvicted: () => log.results.push(-name),
    onResult: (result) => log.results.push(result instanceof Error ? -name : name),
  };
}

function queueOf(engine: GatedEngine, batch: BatchPolicy, capacity = 100) {
  const log: Log = { left: [], results: [] };
  return { log, queue: new WorkQueue(engine, capacity, batch, silentHooks) };
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

test('a full queue says no; places are free again when work leaves', async () => {
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
  queue.submit(work(a, 12, log, 16));
  queue.submit(work(a, 13, log));
  for (const name of [21, 22, 23]) queue.submit(work(b, name, log));
  await eventually(() => log.results.length === 6);
  // 12 is of another size: b's images go on, then 12 alone, then 13.
  assert.deepEqual(engine.batches, [[11, 21, 22], [12], [23, 13]]);
});

test('an image waits for company, but not for ever', async () => {
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

test('an engine that fails on a batch fails each of its images, and the queue goes on', async () => {
  const engine = new GatedEngine(true);
  const infer = engine.infer.bind(engine);
  engine.infer = async (images, outputs) => {
    if (images[0]?.rgb[0] === 1) throw new Error('no memory');
    return infer(images, outputs);
  };
  const { log, queue } = queueOf(engine, { maxImages: 2, maxDelayMs: 0 });
  const stream = {};
  for (const name of [1, 2, 3]) queue.submit(work(stream, name, log));
  await eventually(() => log.results.length === 3);
  assert.deepEqual(log.results, [-1, -2, 3]);
});

test('over the wire: a full queue is a retryable RESOURCE_EXHAUSTED of that image', async () => {
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
  assert.match(error?.message ?? '', /the queue is full: 1 images wait/);
  engine.open();
  const chunks = await peer.takeAnswer(6);
  assert.deepEqual(new Set(chunks.map(({ id }) => id)), new Set([1, 2]));
});
