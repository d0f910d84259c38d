import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { NonFiniteOutputError } from '../../src/contract/inference.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import type { ImageError } from '../../src/stream/generated/cirkd/teacher/v1/ImageError.js';
import { crc32c } from '../../src/wire/crc32c.js';
import { eventually } from '../support/eventually.js';
import { DistillPeer, hello, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

async function takeError(peer: DistillPeer): Promise<ImageError> {
  return (await peer.take('error')).error as ImageError;
}

test('an answer has every output, in order, with shape, dtype and checksum', async () => {
  const { port } = await startTestServer(new GatedEngine(true));
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: { ...image(5, 64, [17, 24]), attempt: 2 } });
  const chunks = await peer.takeAnswer(3);
  assert.deepEqual(
    chunks.map(({ output, dtype, shape, data }) => [output, dtype, shape, data.length]),
    [
      ['OUTPUT_LOGITS', 'DTYPE_FP32', [3, 3, 3], 108],
      ['OUTPUT_EMBEDDING', 'DTYPE_FP16', [3, 3, 8], 144],
      ['OUTPUT_FEATURE_NORM', 'DTYPE_FP32', [3, 3], 36],
    ],
  );
  for (const chunk of chunks) {
    assert.deepEqual([chunk.id, chunk.attempt, chunk.rowBegin, chunk.rowEnd], [5, 2, 0, 3]);
    assert.equal(chunk.crc32c, crc32c(chunk.data));
  }
  // The norm carries the first byte of the image: 1 + 64 / 256.
  assert.equal(chunks[2]?.data.readFloatLE(32), 1.25);
});

test('bad images among good ones get their own errors, and the others are answered', async () => {
  const { port, answers } = await startTestServer(new GatedEngine(true));
  const peer = new DistillPeer(port);
  const other = new DistillPeer(port);
  await peer.greet();
  await other.greet();
  const good = image(1);
  const bad: [object, number, boolean, RegExp][] = [
    [{ ...good, id: 10, crc32c: 1 }, GrpcStatus.DATA_LOSS, true, /image\.crc32c: 0x00000001 given/],
    [{ ...good, id: 11, height: 0 }, GrpcStatus.INVALID_ARGUMENT, false, /0 x 24 given/],
    [
      { ...good, id: 12, width: 25 },
      GrpcStatus.INVALID_ARGUMENT,
      false,
      /image\.rgb: 1152 bytes given, 16 x 25 x 3 needs 1200/,
    ],
    [
      { ...good, id: 13, height: 65, width: 64 },
      GrpcStatus.INVALID_ARGUMENT,
      false,
      /65 x 64 = 4160 pixels given, wanted at most 4096/,
    ],
    [
      { ...good, id: 14, height: 0xffffffff, width: 0xffffffff },
      GrpcStatus.INVALID_ARGUMENT,
      false,
      /pixels given/,
    ],
    [{ ...good, id: '18446744073709551615' }, GrpcStatus.INVALID_ARGUMENT, false, /image\.id/],
  ];
  peer.send({ image: good });
  for (const [one] of bad) peer.send({ image: one });
  peer.send({ image: image(2) });
  other.send({ image: image(1) });
  for (const [one, code, retryable, message] of bad) {
    const error = await takeError(peer);
    const { id } = one as { id: number | string };
    if (typeof id === 'number') assert.equal(error.id, id);
    assert.equal(error.code, code);
    assert.equal(error.retryable, retryable);
    assert.match(error.message, message);
  }
  assert.deepEqual(new Set((await peer.takeAnswer(6)).map(({ id }) => id)), new Set([1, 2]));
  await other.takeAnswer(3);
  assert.equal(other.count('error'), 0);
  await eventually(() => answers.filter((code) => code === 'OK').length === 3);
  assert.equal(answers.filter((code) => code === 'INVALID_ARGUMENT').length, 5);
});

test('an id in use is refused without harm to its image, and free again after the answer', async () => {
  const engine = new GatedEngine(false);
  const { port } = await startTestServer(engine);
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: image(1) });
  peer.send({ image: { ...image(1), attempt: 1 } });
  const error = await takeError(peer);
  assert.deepEqual([error.id, error.attempt, error.code], [1, 1, GrpcStatus.INVALID_ARGUMENT]);
  assert.match(error.message, /image\.id: 1 given/);
  engine.open();
  await peer.takeAnswer(3);
  peer.send({ image: { ...image(1), attempt: 2 } });
  assert.deepEqual(
    (await peer.takeAnswer(3)).map(({ attempt }) => attempt),
    [2, 2, 2],
  );
});

test('NaN and network failures are errors of their image alone', async () => {
  const engine = new GatedEngine(true);
  engine.faults.set(50, new NonFiniteOutputError('logits: NaN or infinity computed'));
  engine.faults.set(60, new Error('out of memory at /home/someone'));
  const events: string[] = [];
  const { port } = await startTestServer(engine, {}, undefined, {
    onEvent: (_level, message) => events.push(message),
  });
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: image(1, 50) });
  peer.send({ image: image(2, 60) });
  peer.send({ image: image(3, 70) });
  const nonFinite = await takeError(peer);
  assert.deepEqual(nonFinite, {
    id: 1,
    attempt: 0,
    code: GrpcStatus.INTERNAL,
    message: 'logits: NaN or infinity computed',
    retryable: true,
    reason: 'ERROR_REASON_NON_FINITE',
  });
  const failed = await takeError(peer);
  assert.equal(failed.id, 2);
  assert.equal(failed.code, GrpcStatus.INTERNAL);
  assert.doesNotMatch(failed.message, /someone/);
  assert.ok(events.includes('inference failed'), events.join());
  assert.equal((await peer.takeAnswer(3))[0]?.id, 3);
});

test('past its deadline a waiting image is dropped, and the result of a running one is not sent', async () => {
  const engine = new GatedEngine(false);
  const { port } = await startTestServer(engine);
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: { ...image(1, 1), timeoutMs: 60 } });
  peer.send({ image: { ...image(2, 2), timeoutMs: 30 } });
  peer.send({ image: image(3, 3) });
  const errors = [await takeError(peer), await takeError(peer)];
  assert.deepEqual(errors.map(({ id }) => id).sort(), [1, 2]);
  for (const error of errors) {
    assert.equal(error.code, GrpcStatus.DEADLINE_EXCEEDED);
    assert.ok(error.retryable, `image ${error.id} may not be asked again`);
  }
  engine.open();
  const chunks = await peer.takeAnswer(3);
  assert.deepEqual(new Set(chunks.map(({ id }) => id)), new Set([3]));
  assert.deepEqual(engine.batches, [[1], [3]]);
});

test('cancel removes a waiting image without an error; unknown ids are ignored', async () => {
  const engine = new GatedEngine(false);
  const { port, answers } = await startTestServer(engine);
  const peer = new DistillPeer(port);
  await peer.greet();
  for (const id of [1, 2, 3]) peer.send({ image: image(id, id) });
  await eventually(() => engine.batches.length === 1);
  peer.send({ cancel: { id: 2 } });
  peer.send({ cancel: { id: 999 } });
  peer.send({ cancel: { id: 1 } });
  await eventually(() => answers.length === 2);
  engine.open();
  const chunks = await peer.takeAnswer(3);
  assert.deepEqual(new Set(chunks.map(({ id }) => id)), new Set([3]));
  assert.deepEqual(engine.batches, [[1], [3]]);
  assert.equal(peer.count('error'), 0);
});

test('after a half-close the remaining images are answered, then the stream ends OK', async () => {
  const engine = new GatedEngine(false);
  const { port } = await startTestServer(engine);
  const peer = new DistillPeer(port);
  peer.send({ hello: hello() });
  peer.send({ image: image(1) });
  peer.send({ image: image(2) });
  peer.halfClose();
  await eventually(() => engine.batches.length === 1);
  engine.open();
  await peer.takeAnswer(6);
  assert.equal((await peer.status).code, GrpcStatus.OK);
});

test('the images of a disconnected client are dropped', async () => {
  const engine = new GatedEngine(false);
  const { port, answers, waiting } = await startTestServer(engine);
  const peer = new DistillPeer(port);
  const other = new DistillPeer(port);
  await peer.greet();
  await other.greet();
  for (const id of [1, 2, 3]) peer.send({ image: image(id, id) });
  await eventually(() => engine.batches.length === 1 && waiting() === 2);
  other.send({ image: image(9, 9) });
  await eventually(() => waiting() === 3);
  peer.close();
  await eventually(() => answers.length === 3);
  assert.deepEqual(answers, ['CANCELLED', 'CANCELLED', 'CANCELLED']);
  engine.open();
  await other.takeAnswer(3);
  assert.deepEqual(engine.batches, [[1], [9]]);
});

test('a message beyond the receive limit ends only its own stream, with RESOURCE_EXHAUSTED', async () => {
  const { port } = await startTestServer(new GatedEngine(true));
  const peer = new DistillPeer(port);
  const other = new DistillPeer(port);
  await peer.greet();
  await other.greet();
  peer.send({ image: { ...image(1), rgb: Buffer.alloc(70_000) } });
  assert.equal((await peer.status).code, GrpcStatus.RESOURCE_EXHAUSTED);
  other.send({ image: image(1) });
  await other.takeAnswer(3);
});

test('outputs of a size other than agreed are never sent', async () => {
  const engine = new GatedEngine(true);
  const infer = engine.infer.bind(engine);
  engine.infer = async ([one, ...more], outputs) => {
    const isBad = one?.rgb[0] === 1;
    const [height, width] = isBad ? [8, 8] : [16, 24];
    return infer(one ? [{ ...one, height, width }, ...more] : [], outputs);
  };
  const errors: unknown[] = [];
  const { port } = await startTestServer(engine, {}, undefined, {
    onEvent: (level, _message, fields) => level === 'error' && errors.push(fields),
  });
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: image(1, 1) });
  peer.send({ image: image(2, 2) });
  assert.equal((await takeError(peer)).code, GrpcStatus.INTERNAL);
  assert.match(String((errors[0] as { error: Error }).error), /logits: shape \[1,1,3\] given/);
  assert.equal((await peer.takeAnswer(3))[0]?.id, 2);
});
