// Outputs of an image of 16 x 24 with the gated engine: h 2, w 3; rows of the logits (3 classes,
// fp32) take 36 bytes, of the embedding (8 channels, fp16) 48, of the norm 12: 72 + 96 + 24 = 192.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { GrpcStatus } from '../../src/rpc/errors.js';
import type { TensorChunk } from '../../src/stream/generated/cirkd/teacher/v1/TensorChunk.js';
import { eventually } from '../support/eventually.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

const ANSWER_BYTES = 192;

function rowsOf(chunk: TensorChunk): [string, number, number] {
  return [chunk.output, chunk.rowBegin, chunk.rowEnd];
}

async function takeChunk(peer: DistillPeer): Promise<TensorChunk> {
  return (await peer.take('tensor')).tensor as TensorChunk;
}

test('the server sends exactly the granted bytes, and another stream continues meanwhile', async () => {
  const { port } = await startTestServer(new GatedEngine(true));
  const peer = new DistillPeer(port);
  const other = new DistillPeer(port);
  await peer.greet({ creditBytes: 36 });
  await other.greet();
  peer.send({ image: image(1) });
  // One row of the logits fits, the second doesn't.
  assert.deepEqual(rowsOf(await takeChunk(peer)), ['OUTPUT_LOGITS', 0, 1]);
  other.send({ image: image(7) });
  await other.takeAnswer(3);
  assert.equal(peer.count('tensor'), 0);

  // 35 bytes are no row; with one more the row comes.
  peer.send({ creditBytes: 35 });
  other.send({ image: image(8) });
  await other.takeAnswer(3);
  assert.equal(peer.count('tensor'), 0);
  peer.send({ creditBytes: 1 });
  assert.deepEqual(rowsOf(await takeChunk(peer)), ['OUTPUT_LOGITS', 1, 2]);

  // The rest, and nothing beyond: a second image waits for credit of its own.
  peer.send({ image: image(2) });
  peer.send({ creditBytes: ANSWER_BYTES - 72 });
  const rest = await peer.takeAnswer(2);
  assert.deepEqual(rest.map(rowsOf), [
    ['OUTPUT_EMBEDDING', 0, 2],
    ['OUTPUT_FEATURE_NORM', 0, 2],
  ]);
  // Its upload credit says that the network has it; another stream's answer, asked for later and
  // come, says that the server had its chance to send too much.
  await peer.take('creditBytes');
  await peer.take('creditBytes');
  other.send({ image: image(9) });
  await other.takeAnswer(3);
  assert.equal(peer.count('tensor'), 0);
  assert.equal(peer.receivedTensorBytes, ANSWER_BYTES);
  peer.send({ creditBytes: ANSWER_BYTES });
  assert.deepEqual(
    (await peer.takeAnswer(3)).map(({ id }) => id),
    [2, 2, 2],
  );
  assert.equal(peer.receivedTensorBytes, 2 * ANSWER_BYTES);
});

test('chunks are whole rows within the limits of server and client', async () => {
  const { port } = await startTestServer(new GatedEngine(true), { chunkBytes: 4000 });
  const peer = new DistillPeer(port);
  await peer.greet({ maxChunkBytes: 100 });
  peer.send({ image: image(1, 0, [40, 24]) });
  assert.deepEqual((await peer.takeAnswer(3)).map(rowsOf), [
    ['OUTPUT_LOGITS', 0, 2],
    ['OUTPUT_LOGITS', 2, 4],
    ['OUTPUT_LOGITS', 4, 5],
    ['OUTPUT_EMBEDDING', 0, 2],
    ['OUTPUT_EMBEDDING', 2, 4],
    ['OUTPUT_EMBEDDING', 4, 5],
    ['OUTPUT_FEATURE_NORM', 0, 5],
  ]);
  // A row that no piece can hold is a fault of the image.
  peer.send({ image: image(2, 0, [8, 64]) });
  const error = (await peer.take('error')).error;
  assert.equal(error?.code, GrpcStatus.INVALID_ARGUMENT);
  assert.match(
    error?.message ?? '',
    /a row of OUTPUT_EMBEDDING takes 128 bytes, chunks have at most 100/,
  );
});

test('the chunks of a long answer add up to its bytes', async () => {
  const { port } = await startTestServer(new GatedEngine(true));
  const whole = new DistillPeer(port);
  const cut = new DistillPeer(port);
  await whole.greet();
  await cut.greet({ maxChunkBytes: 200 });
  const answers: Buffer[] = [];
  for (const peer of [whole, cut]) {
    peer.send({ image: image(1, 3, [64, 64]) });
    answers.push(Buffer.concat((await peer.takeAnswer(3)).map(({ data }) => data)));
    peer.close();
  }
  assert.equal(answers[0]?.length, 64 * (12 + 16 + 4));
  assert.ok(answers[0]?.equals(answers[1] as Buffer), 'the pieces are not the bytes of the whole');
});

test('a deadline in the middle of an answer gives an error, and the next answer is complete', async () => {
  const { port } = await startTestServer(new GatedEngine(true));
  const peer = new DistillPeer(port);
  await peer.greet({ creditBytes: 36 });
  peer.send({ image: { ...image(1), timeoutMs: 40 } });
  peer.send({ image: image(2) });
  assert.deepEqual(rowsOf(await takeChunk(peer)), ['OUTPUT_LOGITS', 0, 1]);
  const error = (await peer.take('error')).error;
  assert.deepEqual([error?.id, error?.code], [1, GrpcStatus.DEADLINE_EXCEEDED]);
  peer.send({ creditBytes: ANSWER_BYTES });
  const next = await peer.takeAnswer(3);
  assert.deepEqual(
    next.map((chunk) => [chunk.id, chunk.rowBegin]),
    [
      [2, 0],
      [2, 0],
      [2, 0],
    ],
  );
});

test('upload credit is returned when an image leaves the queue or is refused', async () => {
  const engine = new GatedEngine(false);
  const { port } = await startTestServer(engine, { maxInflightImages: 2 });
  const peer = new DistillPeer(port);
  await peer.greet();
  peer.send({ image: image(1) });
  assert.equal((await peer.take('creditBytes')).creditBytes, 1152);
  // The network is busy: the second waits, with its credit; the third is refused.
  peer.send({ image: image(2) });
  peer.send({ image: image(3, 0, [8, 8]) });
  const error = (await peer.take('error')).error;
  assert.deepEqual([error?.id, error?.code, error?.retryable], [3, 8, true]);
  assert.match(error?.message ?? '', /2 images of this stream are unanswered, wanted at most 2/);
  assert.equal((await peer.take('creditBytes')).creditBytes, 192);
  assert.equal(peer.count('creditBytes'), 0);
  peer.send({ cancel: { id: 2 } });
  assert.equal((await peer.take('creditBytes')).creditBytes, 1152);
});

test('exceeding the upload credit ends that stream only', async () => {
  const engine = new GatedEngine(false);
  const { port } = await startTestServer(engine, { uploadCreditBytes: 2000 });
  const peer = new DistillPeer(port);
  const other = new DistillPeer(port);
  const welcome = await peer.greet();
  assert.equal(welcome?.creditBytes, 2000);
  await other.greet();
  other.send({ image: image(1) });
  await eventually(() => engine.batches.length === 1);
  peer.send({ image: image(1) });
  peer.send({ image: image(2) });
  const status = await peer.status;
  assert.equal(status.code, GrpcStatus.RESOURCE_EXHAUSTED);
  assert.equal(status.details, 'image.rgb: 1152 bytes sent, 848 bytes of credit left');
  engine.open();
  await other.takeAnswer(3);
});

test('a client that grants credit but does not read delays no other stream, and loses nothing', async () => {
  const { port } = await startTestServer(new GatedEngine(true), {
    maxImagePixels: 512 * 512,
    maxMessageBytes: 1_000_000,
    uploadCreditBytes: 10_000_000,
  });
  const lazy = new DistillPeer(port);
  const other = new DistillPeer(port);
  await lazy.greet();
  await other.greet();
  lazy.pauseReading();
  for (let id = 0; id < 12; id++) {
    lazy.send({ image: image(id, 0, [256, 256]) });
    other.send({ image: image(id, 0, [256, 256]) });
    await other.takeAnswer(3);
  }
  // 32 x 32 positions of 12 + 16 + 4 bytes: more in all than HTTP/2 takes from who does not read.
  const wholeBytes = 12 * 32 * 32 * 32;
  assert.equal(other.receivedTensorBytes, wholeBytes);
  assert.ok(lazy.receivedTensorBytes < wholeBytes, `${lazy.receivedTensorBytes} bytes were read`);
  lazy.resumeReading();
  await lazy.takeAnswer(36);
  assert.equal(lazy.receivedTensorBytes, wholeBytes);
  lazy.halfClose();
  assert.equal((await lazy.status).code, GrpcStatus.OK);
});
