/** Whose images a full queue holds, and whose batch goes first. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { silentHooks } from '../../src/stream/serverHooks.js';
import { type Work, WorkQueue } from '../../src/stream/workQueue.js';
import { DistillPeer, image } from '../support/distillPeer.js';
import { eventually } from '../support/eventually.js';
import { GatedEngine } from '../support/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teacherServer.js';

afterEach(closeTestServers);

interface Log {
  readonly left: number[];
  readonly evicted: number[];
  readonly done: number[];
}

function work(stream: object, name: number, log: Log, changes: Partial<Work> = {}): Work {
  return {
    stream,
    image: { height: 8, width: 8, rgb: new Uint8Array(192).fill(name) },
    outputs: [{ output: 'logits', encoding: 'fp32' }],
    mayStart: () => true,
    onStart: () => {},
    onLeave: () => log.left.push(name),
    onEvicted: () => log.evicted.push(name),
    onResult: () => log.done.push(name),
    ...changes,
  };
}

const newLog = (): Log => ({ left: [], evicted: [], done: [] });
const single = { maxImages: 1, maxDelayMs: 0 };

test('a full queue: the newest of the longest line gives way to a stream below its share', () => {
  const log = newLog();
  const queue = new WorkQueue(new GatedEngine(false), 6, single, silentHooks);
  const [a, b, c, d] = [{}, {}, {}, {}];
  for (const name of [11, 12, 13, 14]) assert.ok(queue.submit(work(a, name, log)));
  for (const name of [21, 22]) assert.ok(queue.submit(work(b, name, log)));
  // Two streams, three places each: a is beyond its share, b isn't.
  assert.equal(queue.submit(work(a, 15, log)), false);
  assert.ok(queue.submit(work(b, 23, log)));
  assert.equal(queue.submit(work(b, 24, log)), false);
  assert.deepEqual([log.evicted, log.left], [[14], [14]]);
  // Three streams, two places each.
  assert.ok(queue.submit(work(c, 31, log)));
  assert.ok(queue.submit(work(c, 32, log)));
  assert.equal(queue.submit(work(c, 33, log)), false);
  // Four streams: one and a half.
  assert.ok(queue.submit(work(d, 41, log)));
  assert.equal(queue.submit(work(d, 42, log)), false);
  assert.equal(log.evicted.length, 4);
  assert.equal(queue.size, 6);
});

test('with fewer places than streams nobody gives way: they would only change places', () => {
  const log = newLog();
  const queue = new WorkQueue(new GatedEngine(false), 2, single, silentHooks);
  assert.ok(queue.submit(work({}, 1, log)));
  assert.ok(queue.submit(work({}, 2, log)));
  assert.equal(queue.submit(work({}, 3, log)), false);
  assert.deepEqual(log.evicted, []);
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

test('a whole batch of one size goes before an image of another that waits for company', async () => {
  const engine = new GatedEngine(true);
  const log = newLog();
  const batch = { maxImages: 2, maxDelayMs: 100_000 };
  const queue = new WorkQueue(engine, 10, batch, silentHooks);
  const tall = { height: 16, width: 8, rgb: new Uint8Array(384).fill(1) };
  queue.submit(work({}, 1, log, { image: tall }));
  queue.submit(work({}, 2, log));
  queue.submit(work({}, 3, log));
  await eventually(() => log.done.length === 2);
  assert.deepEqual(engine.batches, [[2, 3]]);
  queue.submit(work({}, 4, log, { image: { ...tall, rgb: new Uint8Array(384).fill(4) } }));
  await eventually(() => log.done.length === 4);
  assert.deepEqual(engine.batches, [
    [2, 3],
    [1, 4],
  ]);
});

test('work that may not start is passed by, keeps its turn, and goes on when told', async () => {
  const engine = new GatedEngine(true);
  const log = newLog();
  const queue = new WorkQueue(engine, 10, { maxImages: 2, maxDelayMs: 0 }, silentHooks);
  let room = 1;
  const stalled = {};
  const limited = { mayStart: () => room > 0, onStart: () => room-- };
  for (const name of [1, 2, 3]) queue.submit(work(stalled, name, log, limited));
  const other = {};
  for (const name of [4, 5]) queue.submit(work(other, name, log));
  await eventually(() => log.done.length === 3);
  assert.deepEqual(engine.batches, [[1, 4], [5]]);
  assert.equal(queue.size, 2);
  room = 1;
  queue.wake();
  await eventually(() => log.done.length === 4);
  assert.deepEqual(engine.batches.at(-1), [2]);
});
