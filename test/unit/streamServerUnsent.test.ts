// What a client that takes nothing can make a server keep: answers without credit, and streams
// that have ended. An answer to an image of 16 x 24 takes 192 bytes (streamServerCredit.test.ts).
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { eventually } from '../support/eventually.js';
import { DistillPeer, hello, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

const ANSWER_BYTES = 192;
const GARBAGE = Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x07, 1, 2, 3]);

/** How often each image was computed, by its shade. */
const computed = (engine: GatedEngine, shade: number) =>
  engine.batches.flat().filter((one) => one === shade).length;

test('without credit no more is computed than may be held unsent, and other streams continue', async () => {
  const engine = new GatedEngine(true);
  // A stream gets as much as is still free: 3 of 5 answers' room, and 2 of the other 2.
  const maxAnswerBytes = 5 * ANSWER_BYTES + 10;
  const { port, waiting } = await startTestServer(engine, { maxAnswerBytes });
  const stingy = new DistillPeer(port);
  const other = new DistillPeer(port);
  await stingy.greet({ creditBytes: 0 });
  await other.greet();
  for (let id = 1; id <= 10; id++) stingy.send({ image: image(id, 1) });
  await eventually(() => computed(engine, 1) + waiting() === 10);
  for (let id = 1; id <= 20; id++) {
    other.send({ image: image(id, 2) });
    await other.takeAnswer(3);
  }
  assert.equal(computed(engine, 1), 3);
  assert.equal(waiting(), 7);
  assert.equal(stingy.count('tensor'), 0);

  // Each answer that is taken makes room for one more; the rest comes in order.
  stingy.send({ creditBytes: ANSWER_BYTES });
  await stingy.takeAnswer(3);
  await eventually(() => computed(engine, 1) === 4);
  stingy.send({ creditBytes: 9 * ANSWER_BYTES });
  const rest = await stingy.takeAnswer(27);
  assert.deepEqual([...new Set(rest.map(({ id }) => id))], [2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('each stalled stream takes at most as much of the answer budget as it leaves free', async () => {
  const engine = new GatedEngine(true);
  const held: number[] = [];
  const limits = { maxAnswerBytes: 12 * ANSWER_BYTES, maxQueueImages: 64 };
  const hooks = { onAnswerBytes: (bytes: number) => held.push(bytes) };
  const { port, waiting } = await startTestServer(engine, limits, undefined, hooks);
  for (const shade of [1, 2, 3]) {
    const stalled = new DistillPeer(port);
    await stalled.greet({ creditBytes: 0, runId: `run-${shade}` });
    const before = waiting();
    for (let id = 1; id <= 10; id++) stalled.send({ image: image(id, shade) });
    await eventually(() => computed(engine, shade) + waiting() - before === 10);
  }
  // A half of 12, a half of 6, as much of 3 as leaves one more; then still room for another.
  assert.deepEqual(
    [1, 2, 3].map((shade) => computed(engine, shade)),
    [6, 3, 2],
  );
  const other = new DistillPeer(port);
  await other.greet();
  other.send({ image: image(1, 4) });
  await other.takeAnswer(3);
  DistillPeer.closeAll();
  await eventually(() => held.at(-1) === 0);
  assert.equal(Math.max(...held), 12 * ANSWER_BYTES);
});

test('one answer is always allowed; cancelled or expired, it frees its room', async () => {
  const engine = new GatedEngine(true);
  const { port, waiting } = await startTestServer(engine, { maxAnswerBytes: 1 });
  const peer = new DistillPeer(port);
  await peer.greet({ creditBytes: 0 });
  peer.send({ image: image(1, 1) });
  peer.send({ image: { ...image(2, 2), timeoutMs: 60 } });
  peer.send({ image: image(3, 3) });
  // On a busy machine the second may be late before this is looked at.
  const bothThere = () => waiting() === 2 || peer.count('error') > 0;
  await eventually(() => engine.batches.length === 1 && bothThere());
  peer.send({ cancel: { id: 1 } });
  await eventually(() => engine.batches.length >= 2 || peer.count('error') > 0);
  const error = (await peer.take('error')).error;
  assert.deepEqual([error?.id, error?.code], [2, GrpcStatus.DEADLINE_EXCEEDED]);
  await eventually(() => computed(engine, 3) === 1);
  peer.send({ creditBytes: ANSWER_BYTES });
  assert.equal((await peer.takeAnswer(3))[0]?.id, 3);
});

test("a batch holds no more of one stream's images than its answers have room for", async () => {
  const engine = new GatedEngine(false);
  const limits = { maxAnswerBytes: 3 * ANSWER_BYTES };
  const batch = { maxImages: 8, maxDelayMs: 0 };
  const { port, waiting } = await startTestServer(engine, limits, batch);
  const peer = new DistillPeer(port);
  await peer.greet();
  for (let id = 1; id <= 5; id++) peer.send({ image: image(id, id) });
  await eventually(() => engine.batches.flat().length + waiting() === 5);
  engine.open();
  await peer.takeAnswer(15);
  assert.ok(engine.batches.every((images) => images.length <= 2));
});

test("an image waits at most the server's own time-out, whatever it requests", async () => {
  const { port } = await startTestServer(new GatedEngine(true), { requestTimeoutMs: 50 });
  const peer = new DistillPeer(port);
  await peer.greet({ creditBytes: 0 });
  peer.send({ image: { ...image(1), timeoutMs: 2 ** 31 - 1 } });
  const error = (await peer.take('error')).error;
  assert.equal(error?.code, GrpcStatus.DEADLINE_EXCEEDED);
  assert.equal(error?.message, 'not answered within 50 ms');
});

/**
 * A peer that doesn't read, with half a MiB of answers before it, and its stream ended. In small
 * pieces: grpc-js takes 16 of any size ahead.
 */
async function stuckPeer(port: number, answers: string[]): Promise<DistillPeer> {
  const peer = new DistillPeer(port);
  await peer.greet({ maxChunkBytes: 2048 });
  peer.pauseReading();
  const before = answers.length;
  for (let id = 0; id < 4; id++) peer.send({ image: image(id, 0, [512, 512]) });
  await eventually(() => answers.length > before);
  peer.send(GARBAGE);
  return peer;
}

const large = {
  maxImagePixels: 512 * 512,
  maxMessageBytes: 1_000_000,
  uploadCreditBytes: 10_000_000,
  maxStreams: 2,
};

test('ended streams that are not read still count towards the limit', async () => {
  const counts: number[] = [];
  const ends: string[] = [];
  const { port, answers } = await startTestServer(new GatedEngine(true), large, undefined, {
    onStreams: (count) => counts.push(count),
    onEvent: (level, text) => level === 'warn' && ends.push(text),
  });
  for (let i = 1; i <= 2; i++) {
    await stuckPeer(port, answers);
    await eventually(() => ends.length === i);
  }
  const third = new DistillPeer(port);
  third.send({ hello: hello() });
  const { code, details } = await third.status;
  assert.equal(code, GrpcStatus.RESOURCE_EXHAUSTED);
  assert.match(details, /2 streams are open/);
  assert.deepEqual(counts, [1, 2]);
});

test('ended streams that are not read are cut after a grace, and a new stream is accepted', async () => {
  const counts: number[] = [];
  const limits = { ...large, closeGraceMs: 100 };
  const { port, answers } = await startTestServer(new GatedEngine(true), limits, undefined, {
    onStreams: (count) => counts.push(count),
  });
  const stuck = [await stuckPeer(port, answers), await stuckPeer(port, answers)];
  await eventually(() => counts.at(-1) === 0);
  const third = new DistillPeer(port);
  await third.greet();
  for (const peer of stuck) {
    peer.resumeReading();
    assert.notEqual((await peer.status).code, GrpcStatus.OK);
  }
});

test('an ended stream that is read within the grace gets its status', async () => {
  const { port, answers } = await startTestServer(new GatedEngine(true), large);
  const peer = await stuckPeer(port, answers);
  await setTimeout(50);
  peer.resumeReading();
  assert.equal((await peer.status).code, GrpcStatus.INVALID_ARGUMENT);
});
