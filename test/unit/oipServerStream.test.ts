/** ModelStreamInfer: answers in order, errors beside answers, clients that don't read, the end. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { InferenceService } from '../../src/oip/codec/inferenceService.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { eventually } from '../support/eventually.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import { type OipServerChoices, startOipServer } from '../support/oip/oipServer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
});

async function serve(isOpen: boolean, choices: OipServerChoices = {}) {
  const engine = new GatedEngine(isOpen);
  const server = await startOipServer(engine, choices);
  return { ...server, engine, peer: new OipPeer(server.port) };
}

test('answers come in the order of the requests; one that fails leaves the stream open', async () => {
  const { peer, requests, answers } = await serve(true);
  const stream = peer.stream();
  stream.send(inferRequest({ id: 'a', shades: [1, 2] }));
  stream.send({ ...inferRequest({ id: 'b' }), modelName: 'resnet' });
  stream.send(Buffer.from('0a0561', 'hex'));
  stream.send(inferRequest({ id: 'c', size: [8, 8], outputs: ['logits_fp16'] }));
  const came = await stream.take(4);
  assert.deepEqual(
    came.map(({ errorMessage, inferResponse }) => [
      inferResponse?.id,
      inferResponse?.modelName,
      errorMessage,
      inferResponse?.rawOutputContents.length,
      inferResponse?.parameters['triton_final_response']?.boolParam,
    ]),
    [
      ['a', 'cirkd', '', 4, true],
      ['b', 'cirkd', "Request for unknown model: 'resnet' is not found", 0, true],
      ['', 'cirkd', 'message: not a ModelInferRequest (field: 5 bytes announced, 1 left)', 0, true],
      ['c', 'cirkd', '', 1, true],
    ],
  );
  stream.halfClose();
  assert.equal((await stream.status).code, GrpcStatus.OK);
  const single = await peer.answer(inferRequest({ shades: [1, 2] }));
  assert.deepEqual(came[0]?.inferResponse?.rawOutputContents, single.rawOutputContents);
  assert.deepEqual(answers, ['OK', 'OK', 'OK', 'OK', 'OK']);
  assert.deepEqual(requests.slice(0, 4).sort(), [
    'ModelStreamInfer INVALID_ARGUMENT',
    'ModelStreamInfer NOT_FOUND',
    'ModelStreamInfer OK',
    'ModelStreamInfer OK',
  ]);
});

test('a half-closed stream gets all its answers; a cancelled one leaves the queue', async () => {
  const { peer, engine, waiting, requests } = await serve(false);
  const [whole, cut] = [peer.stream(), peer.stream()];
  for (const shade of [1, 2]) whole.send(inferRequest({ shades: [shade] }));
  whole.halfClose();
  await eventually(() => waiting() === 1);
  for (const shade of [3, 4]) cut.send(inferRequest({ shades: [shade] }));
  await eventually(() => waiting() === 3);
  cut.cancel();
  await eventually(() => waiting() === 1);
  engine.open();
  assert.equal((await whole.take(2)).length, 2);
  assert.equal((await whole.status).code, GrpcStatus.OK);
  assert.deepEqual(engine.batches, [[1], [2]]);
  assert.equal(requests.filter((one) => one === 'ModelStreamInfer CANCELLED').length, 2);
});

test('unanswered requests of a stream are bounded: no more is read meanwhile', async (t) => {
  const { mock } = t.mock.method(InferenceService.service.ModelInfer, 'requestDeserialize');
  const { peer, engine, waiting } = await serve(false, {
    limits: { maxInflightImages: 3, maxImagePixels: 128 * 128, maxQueueBytes: 100_000_000 },
  });
  const stream = peer.stream();
  for (let shade = 1; shade <= 40; shade++) {
    // Each with an id of its own: what equals the request before is not decoded again.
    const id = String(shade);
    stream.send(inferRequest({ id, shades: [shade], size: [128, 128], outputs: ['logits'] }));
  }
  await eventually(() => waiting() === 2);
  await setTimeout(200);
  assert.deepEqual([waiting(), engine.batches.length], [2, 1]);
  assert.equal(mock.callCount(), 4);
  engine.open();
  const came = await stream.take(40);
  assert.ok(
    came.every(({ errorMessage }) => errorMessage === ''),
    'some failed',
  );
  assert.equal(engine.batches.length, 40);
});

test('a client that reads nothing holds a bounded part of the answers, others go on; then it is cut', async () => {
  let held = 0;
  // An answer of 64 x 64 is 3 KiB; the bound lets the stream have half of four.
  const { peer, port, engine } = await serve(true, {
    limits: {
      maxAnswerBytes: 4 * 64 * 4 * (3 + 8 + 1 + 8),
      maxInflightImages: 16,
      requestTimeoutMs: 1000,
    },
    hooks: { onAnswerBytes: (bytes) => (held = bytes) },
  });
  const other = new OipPeer(port);
  const stuck = new OipPeer(port, undefined, { 'grpc-node.flow_control_window': 65_535 });
  const stream = stuck.stream();
  stream.pauseReading();
  for (let shade = 1; shade <= 200; shade++) {
    stream.send(inferRequest({ shades: [shade], size: [64, 64] }));
  }
  await eventually(() => engine.batches.length > 20);
  await eventually(() => held > 0);
  const begun = engine.batches.length;
  await other.answer(inferRequest({ shades: [250], size: [64, 64] }));
  await peer.answer(inferRequest({ shades: [251], size: [64, 64] }));
  assert.ok(engine.batches.length < begun + 100, 'the stream was not held back');
  // Its messages weren't taken for the request time-out.
  await eventually(() => held === 0);
});

test('more streams than the limit: RESOURCE_EXHAUSTED, until one has ended', async () => {
  const { peer } = await serve(true, { limits: { maxStreams: 2 } });
  const open = [peer.stream(), peer.stream()];
  for (const stream of open) stream.send(inferRequest());
  for (const stream of open) await stream.take(1);
  const third = peer.stream();
  assert.deepEqual(
    [(await third.status).code, (await third.status).details],
    [GrpcStatus.RESOURCE_EXHAUSTED, '2 streams are open, this server takes no more'],
  );
  open[0]!.halfClose();
  await open[0]!.status;
  const fourth = peer.stream();
  fourth.send(inferRequest());
  await fourth.take(1);
});

test('drain: accepted requests are answered, new ones refused, then UNAVAILABLE', async () => {
  const { server, peer, engine, waiting } = await serve(false);
  const stream = peer.stream();
  stream.send(inferRequest({ id: 'first' }));
  stream.send(inferRequest({ id: 'second' }));
  const unary = peer.infer(inferRequest({ id: 'third' }));
  await eventually(() => waiting() === 2);
  const drained = server.drain(30_000);
  stream.send(inferRequest({ id: 'late' }));
  const [ready, late] = [
    await peer.call<{ ready: boolean }>('ServerReady', {}),
    await peer.infer(inferRequest()),
  ];
  assert.deepEqual(ready, { ready: false });
  assert.deepEqual(await peer.call('ModelReady', { name: 'cirkd' }), { ready: false });
  assert.deepEqual(await peer.call('ServerLive', {}), { live: true });
  assert.ok(late instanceof Error && late.code === GrpcStatus.UNAVAILABLE, String(late));
  engine.open();
  const came = await stream.take(3);
  assert.deepEqual(
    came.map(({ errorMessage, inferResponse }) => [inferResponse?.id, errorMessage]),
    [
      ['first', ''],
      ['second', ''],
      [
        'late',
        'Server is stopping, scheduler for model has stopped accepting new inference requests',
      ],
    ],
  );
  assert.ok(!((await unary) instanceof Error), 'the accepted call failed');
  assert.equal((await stream.status).code, GrpcStatus.UNAVAILABLE);
  assert.equal(await drained, 'drained');
});

test('a drain that takes too long cuts what is left', async () => {
  const { server, peer, waiting } = await serve(false);
  const stream = peer.stream();
  stream.send(inferRequest());
  const unary = peer.infer(inferRequest());
  await eventually(() => waiting() === 1);
  assert.equal(await server.drain(50), 'forced');
  assert.equal((await stream.status).code, GrpcStatus.UNAVAILABLE);
  assert.ok((await unary) instanceof Error, 'the call was answered');
});
