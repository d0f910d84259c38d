/** One queue for Distill streams and inference requests: turns, bounds, deadlines, clients that leave. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { ServiceError } from '@grpc/grpc-js';
import { InferenceService } from '../../src/oip/codec/inferenceService.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { eventually } from '../support/eventually.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import { type OipServerChoices, startOipServer } from '../support/oip/oipServer.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { callWith, framed, openCall, openSession } from '../support/students/rawDistill.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
});

async function serve(choices: OipServerChoices = {}) {
  const engine = new GatedEngine(false);
  const server = await startOipServer(engine, choices);
  return { ...server, engine, peer: new OipPeer(server.port) };
}

const logits = (shades: readonly number[], id = '') =>
  inferRequest({ id, shades, outputs: ['logits'] });

/** Lets one batch after the other go until all are answered; gives the shades in order. */
async function order(engine: GatedEngine, images: number): Promise<number[]> {
  await eventually(() => {
    engine.releaseOne();
    return engine.batches.flat().length === images;
  });
  engine.open();
  return engine.batches.flat();
}

test('turns: a Distill stream and two clients, one with four times as much, one by one', async () => {
  const { engine, peer, port, waiting } = await serve();
  const student = new DistillPeer(port);
  await student.greet({ runId: 'student' });
  student.send({ image: image(1, 100) });
  await eventually(() => engine.batches.length === 1);
  const greedy = [10, 11, 12, 13].map((shade) => peer.infer(logits([shade, shade + 10])));
  await eventually(() => waiting() === 8);
  const modest = new OipPeer(port);
  const stream = modest.stream();
  for (const shade of [30, 31]) stream.send(logits([shade]));
  await eventually(() => waiting() === 10);
  for (const id of [2, 3]) student.send({ image: image(id, 100 + id) });
  await eventually(() => waiting() === 12);
  const computed = await order(engine, 13);
  assert.deepEqual(computed.slice(1, 7), [10, 30, 102, 20, 31, 103]);
  assert.deepEqual(computed.slice(7), [11, 21, 12, 22, 13, 23]);
  for (const answer of greedy) assert.ok(!((await answer) instanceof Error), 'one failed');
  await stream.take(2);
});

test('connections that name one run share its turns, one connection with two runs has two', async () => {
  const { engine, port, waiting } = await serve();
  const first = new OipPeer(port).infer(logits([1]));
  await eventually(() => engine.batches.length === 1);
  const [a, b, c] = [new OipPeer(port), new OipPeer(port), new OipPeer(port)];
  const calls: Promise<unknown>[] = [];
  async function send(peer: OipPeer, run: string, ...shades: number[]): Promise<void> {
    for (const shade of shades) {
      const before = waiting();
      calls.push(peer.infer(logits([shade]), { metadata: { 'cirkd-run': run } }));
      await eventually(() => waiting() === before + 1);
    }
  }
  await send(a, 'one', 10, 11);
  await send(b, 'one', 20, 21);
  await send(c, 'two', 30, 31);
  await send(c, 'three', 40);
  assert.deepEqual(await order(engine, 8), [1, 10, 30, 40, 20, 31, 11, 21]);
  await Promise.all([first, ...calls]);
  const refused = await a.infer(logits([1]), { metadata: { 'cirkd-run': 'a b' } });
  assert.ok(refused instanceof Error, 'a run of two words was accepted');
  assert.deepEqual(
    [refused.code, refused.details],
    [GrpcStatus.INVALID_ARGUMENT, "cirkd-run: 'a b' given, wanted 1 to 128 of A-Z a-z 0-9 . _ -"],
  );
});

test('images of both services share a batch', async () => {
  const { engine, peer, port, waiting } = await serve({ batch: { maxImages: 4, maxDelayMs: 0 } });
  const student = new DistillPeer(port);
  const outputs = [{ output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP32' }] as const;
  await student.greet({ outputs: [...outputs] });
  student.send({ image: image(1, 1) });
  await eventually(() => engine.batches.length === 1);
  const answer = peer.infer(logits([2, 3]));
  student.send({ image: image(2, 4) });
  await eventually(() => waiting() === 3);
  engine.open();
  assert.ok(!((await answer) instanceof Error), 'it failed');
  assert.deepEqual(engine.batches[1]?.toSorted(), [2, 3, 4]);
});

test("calls beyond a connection's bound wait unread, and all are answered", async () => {
  const { engine, peer, waiting, requests } = await serve({ limits: { maxInflightImages: 3 } });
  const calls = Array.from({ length: 12 }, (_, shade) => peer.infer(logits([shade])));
  await eventually(() => waiting() === 2);
  await setTimeout(50);
  assert.equal(waiting(), 2);
  engine.open();
  for (const answer of await Promise.all(calls)) assert.ok(!(answer instanceof Error), 'failed');
  assert.deepEqual(requests, Array(12).fill('ModelInfer OK'));
});

test("calls beyond the server's bound: the connection with fewer comes first", async () => {
  const { engine, port, waiting } = await serve({ limits: { maxQueueImages: 4 } });
  const [greedy, modest] = [new OipPeer(port), new OipPeer(port)];
  const many = Array.from({ length: 8 }, () => greedy.infer(logits([1])));
  // Half of the places: with two let in, two are free.
  await eventually(() => waiting() === 1);
  await setTimeout(50);
  assert.equal(waiting(), 1);
  const one = modest.infer(logits([2]));
  await eventually(() => waiting() === 2);
  await eventually(() => {
    engine.releaseOne();
    return engine.batches.flat().includes(2);
  });
  assert.ok(engine.batches.length <= 3, `${engine.batches}`);
  engine.open();
  for (const answer of [...(await Promise.all(many)), await one]) {
    assert.ok(!(answer instanceof Error), String(answer));
  }
});

test('a full queue: UNAVAILABLE, with nothing of the request left in it', async () => {
  const { engine, peer, waiting, answers } = await serve({ limits: { maxQueueImages: 4 } });
  const first = peer.infer(logits([1]));
  await eventually(() => engine.batches.length === 1);
  const second = peer.infer(logits([2, 3]));
  await eventually(() => waiting() === 2);
  // Both calls of the connection's half are in use; a stream has its own bound.
  const stream = peer.stream();
  stream.send(logits([4, 5, 6], 'large'));
  const [{ errorMessage } = { errorMessage: '' }] = await stream.take(1);
  assert.equal(errorMessage, '[request id: large] Exceeds maximum queue size');
  assert.equal(waiting(), 2);
  assert.deepEqual(answers, Array(3).fill('UNAVAILABLE'));
  engine.open();
  for (const answer of [await first, await second]) assert.ok(!(answer instanceof Error), 'failed');
});

test('a client that takes all the queue gives way to another', async () => {
  const { engine, peer, port, waiting } = await serve({ limits: { maxQueueImages: 4 } });
  const blocking = new OipPeer(port).infer(logits([9]));
  await eventually(() => engine.batches.length === 1);
  const four = peer.infer(logits([1, 2, 3, 4]));
  await eventually(() => waiting() === 4);
  const other = new OipPeer(port).infer(logits([5]));
  const refused = await four;
  assert.ok(refused instanceof Error && refused.code === GrpcStatus.UNAVAILABLE, String(refused));
  assert.match(refused.details, /Exceeds maximum queue size/);
  engine.open();
  for (const answer of [await blocking, await other]) {
    assert.ok(!(answer instanceof Error), String(answer));
  }
});

test("time: a timeout parameter in microseconds, the call's deadline, the server's own", async () => {
  const { engine, peer, waiting, requests } = await serve({ limits: { requestTimeoutMs: 400 } });
  const [own, parameter, deadline] = await Promise.all([
    peer.infer(logits([1])) as Promise<ServiceError>,
    peer.infer({ ...logits([2]), parameters: { timeout: { int64Param: 20_000 } } }),
    peer.infer(logits([3]), { timeoutMs: 100 }),
  ] as Promise<ServiceError>[]);
  assert.deepEqual(
    [own, parameter].map((error) => [error?.code, error?.details]),
    Array(2).fill([GrpcStatus.UNAVAILABLE, 'Request timeout expired']),
  );
  assert.equal(deadline?.code, GrpcStatus.DEADLINE_EXCEEDED);
  await eventually(() => waiting() === 0);
  assert.deepEqual(engine.batches, [[1]]);
  await eventually(() => requests.length === 3);
  // The server knows the call's deadline, too: whichever side is first ends the call.
  const [first, ...others] = requests.toSorted();
  assert.match(first!, /^ModelInfer (CANCELLED|UNAVAILABLE)$/);
  assert.deepEqual(others, ['ModelInfer UNAVAILABLE', 'ModelInfer UNAVAILABLE']);
});

test('a cancelled call leaves the queue, and its memory is free when the network returns', async () => {
  let held = 0;
  const { engine, peer, waiting, answers } = await serve({
    hooks: { onAnswerBytes: (bytes) => (held = bytes) },
  });
  const stop = new AbortController();
  const calls = [1, 2].map((shade) => peer.infer(logits([shade, shade]), { signal: stop.signal }));
  await eventually(() => waiting() === 3);
  // Two images of 2 x 3 positions with 3 classes: both are counted when the first one starts.
  assert.equal(held, 2 * 6 * 3 * 4);
  stop.abort();
  await eventually(() => waiting() === 0);
  assert.equal(held, 2 * 6 * 3 * 4);
  engine.open();
  await eventually(() => held === 0);
  for (const call of calls) assert.ok((await call) instanceof Error, 'it was answered');
  await eventually(() => answers.length === 4);
  assert.deepEqual(answers, Array(4).fill('CANCELLED'));
  assert.deepEqual(engine.batches, [[1]]);
});

test('answers beyond the memory for them: one request at a time, each with all its images', async () => {
  let most = 0;
  const answer = 3 * 6 * 3 * 4;
  const { engine, peer } = await serve({
    limits: { maxAnswerBytes: answer },
    hooks: {
      onAnswerBytes: (bytes) => {
        most = Math.max(most, bytes);
      },
    },
  });
  engine.open();
  const calls = Array.from({ length: 5 }, () => peer.infer(logits([1, 2, 3])));
  for (const one of await Promise.all(calls)) assert.ok(!(one instanceof Error), String(one));
  assert.equal(most, answer);
});

const { path: INFER_PATH, requestSerialize } = InferenceService.service.ModelInfer;

test('a call whose answer is not read is cut after the time limit, and others are answered', async () => {
  let held = 0;
  const engine = new GatedEngine(true, 2048);
  const { port, requests } = await startOipServer(engine, {
    limits: { requestTimeoutMs: 700 },
    hooks: { onAnswerBytes: (bytes) => (held = bytes) },
  });
  const session = await openSession(port);
  const stream = openCall(session, INFER_PATH);
  // 512 KiB, of which HTTP/2's window takes 64.
  stream.end(framed(requestSerialize(inferRequest({ size: [64, 64], outputs: ['embedding'] }))));
  await eventually(() => requests.length === 1);
  assert.equal(held, 64 * 2048 * 4);
  const peer = new OipPeer(port);
  assert.ok(!((await peer.infer(logits([2]))) instanceof Error), 'another client got nothing');
  await eventually(() => held === 0);
  await eventually(() => stream.destroyed);
  session.close();
});

test('a call that never sends its message to the end is refused after the time limit', async () => {
  const { port, requests } = await startOipServer(new GatedEngine(true), {
    limits: { requestTimeoutMs: 1000, maxInflightImages: 1 },
  });
  const session = await openSession(port);
  const whole = framed(requestSerialize(inferRequest()));
  const slow = openCall(session, INFER_PATH);
  let status: unknown;
  slow.on('response', (headers) => {
    status = headers['grpc-status'];
  });
  slow.write(whole.subarray(0, 100));
  await setTimeout(600);
  // The connection's only place is taken for some time yet.
  const next = await callWith(session, whole, INFER_PATH);
  assert.deepEqual([next.status, status], [GrpcStatus.OK, String(GrpcStatus.UNAVAILABLE)]);
  assert.deepEqual(requests, ['ModelInfer UNAVAILABLE', 'ModelInfer OK']);
  session.close();
});
