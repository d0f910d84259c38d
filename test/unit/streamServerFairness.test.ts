/** Whose images a full queue holds, and whose batch goes first. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { RequestQueue } from '../../src/stream/server/requestQueue.js';
import { silentHooks } from '../../src/stream/server/serving.js';
import { eventually } from '../support/eventually.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { newWorkLog, work } from '../support/teachers/queuedWork.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

/** Room in bytes for all of them: what counts is their number. */
const slots = (maxImages: number) => ({ maxImages, maxBytes: 1e9 });
const single = { maxImages: 1, maxDelayMs: 0 };

test('in a full queue the newest image of the stream with the most is evicted for a stream below its share', () => {
  const log = newWorkLog();
  const queue = new RequestQueue(new GatedEngine(false), slots(6), single, silentHooks);
  const [a, b, c, d] = [{}, {}, {}, {}];
  for (const name of [11, 12, 13, 14]) assert.equal(queue.submit(work(a, name, log)), true);
  for (const name of [21, 22]) assert.equal(queue.submit(work(b, name, log)), true);
  // Two streams, three places each: a is beyond its share, b isn't.
  assert.equal(queue.submit(work(a, 15, log)), false);
  assert.equal(queue.submit(work(b, 23, log)), true);
  assert.equal(queue.submit(work(b, 24, log)), false);
  assert.deepEqual([log.evicted, log.left], [[14], [14]]);
  // Three streams, two places each.
  assert.equal(queue.submit(work(c, 31, log)), true);
  assert.equal(queue.submit(work(c, 32, log)), true);
  assert.equal(queue.submit(work(c, 33, log)), false);
  // Four streams: one and a half.
  assert.equal(queue.submit(work(d, 41, log)), true);
  assert.equal(queue.submit(work(d, 42, log)), false);
  assert.equal(log.evicted.length, 4);
  assert.equal(queue.size, 6);
});

test('with fewer slots than streams nothing is evicted: slots would only be swapped', () => {
  const log = newWorkLog();
  const queue = new RequestQueue(new GatedEngine(false), slots(2), single, silentHooks);
  assert.equal(queue.submit(work({}, 1, log)), true);
  assert.equal(queue.submit(work({}, 2, log)), true);
  assert.equal(queue.submit(work({}, 3, log)), false);
  assert.deepEqual(log.evicted, []);
});

test('in a full queue the slots of a run count, not its number of streams', () => {
  const log = newWorkLog();
  const queue = new RequestQueue(new GatedEngine(false), slots(4), single, silentHooks);
  const [a1, a2, b] = [{}, {}, {}];
  for (const name of [11, 12]) assert.equal(queue.submit(work(a1, name, log, { run: 'a' })), true);
  for (const name of [21, 22]) assert.equal(queue.submit(work(a2, name, log, { run: 'a' })), true);
  for (const name of [31, 32]) assert.equal(queue.submit(work(b, name, log, { run: 'b' })), true);
  assert.equal(queue.submit(work(b, 33, log, { run: 'b' })), false);
  assert.equal(queue.submit(work(a1, 13, log, { run: 'a' })), false);
  assert.deepEqual(log.evicted, [12, 22]);
});

test('in a full queue a large image takes several slots, and nothing is evicted in vain', () => {
  const log = newWorkLog();
  // A place is 192 bytes, an image of height 8.
  const limits = { maxImages: 8, maxBytes: 8 * 192 };
  const sizes: number[] = [];
  const queue = new RequestQueue(new GatedEngine(false), limits, single, {
    ...silentHooks,
    onQueueSize: (_, bytes) => sizes.push(bytes),
  });
  const [a, b] = [{}, {}];
  const submitted = (name: number, stream: object, run: string, height: number) =>
    queue.submit(work(stream, name, log, { run, height }));
  for (const name of [1, 2, 3]) assert.equal(submitted(name, a, 'a', 16), true);
  assert.equal(submitted(4, a, 'a', 8), true);
  // Of 7 places 4 could go to one who wants 3, but not to one who wants 5.
  assert.equal(submitted(5, b, 'b', 40), false);
  assert.deepEqual(log.evicted, []);
  assert.equal(submitted(6, b, 'b', 24), true);
  assert.deepEqual(log.evicted, [4, 3]);
  // One place is left. For a second one the run with 4 would have to give way to that with 3.
  assert.equal(submitted(7, b, 'b', 16), false);
  assert.equal(submitted(8, b, 'b', 8), true);
  assert.deepEqual(log.evicted, [4, 3]);
  assert.equal(Math.max(...sizes), 8 * 192);
});

test('runs take turns, and within a run its streams', async () => {
  const engine = new GatedEngine(true);
  const log = newWorkLog();
  const queue = new RequestQueue(engine, slots(100), single, silentHooks);
  const [a1, a2, b] = [{}, {}, {}];
  for (const name of [11, 12, 13]) queue.submit(work(a1, name, log, { run: 'a' }));
  for (const name of [21, 22]) queue.submit(work(a2, name, log, { run: 'a' }));
  for (const name of [31, 32, 33]) queue.submit(work(b, name, log, { run: 'b' }));
  await eventually(() => log.results.length === 8);
  assert.deepEqual(log.results, [11, 31, 21, 32, 12, 33, 22, 13]);
});

test('one image at a time gets its share beside two streams that keep the queue full', async () => {
  const engine = new GatedEngine(false);
  const limits = { maxQueueImages: 8, maxInflightImages: 8 };
  const { port, answers, waiting } = await startTestServer(engine, limits);
  const greedy = [new DistillPeer(port), new DistillPeer(port)];
  const small = new DistillPeer(port);
  for (const peer of [...greedy, small]) await peer.greet();
  let sent = 0;
  const send = (peer: DistillPeer, shade: number) => peer.send({ image: image(++sent, shade) });
  // Each image has come to an end, waits, or is the one in the network.
  const arrived = () => eventually(() => answers.length + waiting() + 1 === sent);
  for (let round = 1; round <= 5; round++) {
    for (let i = 0; i < 8; i++) for (const peer of greedy) send(peer, 1);
    await arrived();
    assert.equal(waiting(), 8);
    send(small, 2);
    await arrived();
    assert.equal(small.count('error'), 0, `round ${round}: refused`);
    const before = engine.batches.length;
    let isAnswered = false;
    const answered = small.takeAnswer(3).then(() => {
      isAnswered = true;
    });
    await eventually(() => {
      engine.releaseOne();
      return isAnswered;
    });
    await answered;
    // One image of each greedy stream goes first at most.
    const turn = engine.batches.slice(before).findIndex(([shade]) => shade === 2);
    assert.ok(turn >= 0 && turn <= 2, `round ${round}: turn ${turn}`);
  }
  const { error } = await greedy[0]!.take('error');
  assert.deepEqual([error?.code, error?.retryable], [GrpcStatus.RESOURCE_EXHAUSTED, true]);
  engine.open();
});

test('a full batch of one size goes before an image of another size that waits for more', async () => {
  const engine = new GatedEngine(true);
  const log = newWorkLog();
  const batch = { maxImages: 2, maxDelayMs: 100_000 };
  const queue = new RequestQueue(engine, slots(10), batch, silentHooks);
  const tall = { height: 16, width: 8, rgb: new Uint8Array(384).fill(1) };
  queue.submit(work({}, 1, log, { image: tall }));
  queue.submit(work({}, 2, log));
  queue.submit(work({}, 3, log));
  await eventually(() => log.results.length === 2);
  assert.deepEqual(engine.batches, [[2, 3]]);
  queue.submit(work({}, 4, log, { image: { ...tall, rgb: new Uint8Array(384).fill(4) } }));
  await eventually(() => log.results.length === 4);
  assert.deepEqual(engine.batches, [
    [2, 3],
    [1, 4],
  ]);
});

test('a request that may not start is skipped, keeps its turn, and starts after wake()', async () => {
  const engine = new GatedEngine(true);
  const log = newWorkLog();
  const queue = new RequestQueue(engine, slots(10), { maxImages: 2, maxDelayMs: 0 }, silentHooks);
  let room = 1;
  const stalled = {};
  const limited = { mayStart: () => room > 0, onStart: () => room-- };
  for (const name of [1, 2, 3]) queue.submit(work(stalled, name, log, limited));
  const other = {};
  for (const name of [4, 5]) queue.submit(work(other, name, log));
  await eventually(() => log.results.length === 3);
  assert.deepEqual(engine.batches, [[1, 4], [5]]);
  assert.equal(queue.size, 2);
  room = 1;
  queue.wake();
  await eventually(() => log.results.length === 4);
  assert.deepEqual(engine.batches.at(-1), [2]);
});
