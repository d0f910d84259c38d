import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { GrpcStatus } from '../../src/rpc/errors.js';
import type { HelloInput } from '../../src/stream/generated/cirkd/teacher/v1/Hello.js';
import { DistillPeer, hello, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import {
  closeTestServers,
  startTestServer,
  type TestServer,
} from '../support/teachers/teacherServer.js';

const engine = new GatedEngine(true);
let running: TestServer;

before(async () => {
  running = await startTestServer(engine);
});
afterEach(() => DistillPeer.closeAll());
after(closeTestServers);

const refusals: Record<string, [HelloInput, number, RegExp]> = {
  'another protocol version': [
    { protocolVersion: 2 },
    GrpcStatus.FAILED_PRECONDITION,
    /hello\.protocol_version: 2 given, this server speaks 1/,
  ],
  'an empty run id': [{ runId: '' }, GrpcStatus.INVALID_ARGUMENT, /hello\.run_id: "" given/],
  'a run id with a slash': [
    { runId: 'a/b' },
    GrpcStatus.INVALID_ARGUMENT,
    /hello\.run_id: "a\/b" given, wanted 1 to 128/,
  ],
  'a run id of 129 bytes': [
    { runId: 'x'.repeat(129) },
    GrpcStatus.INVALID_ARGUMENT,
    /hello\.run_id/,
  ],
  'no outputs': [{ outputs: [] }, GrpcStatus.INVALID_ARGUMENT, /hello\.outputs: none given/],
  'an output twice': [
    {
      outputs: [
        { output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP32' },
        { output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP16' },
      ],
    },
    GrpcStatus.INVALID_ARGUMENT,
    /hello\.outputs: OUTPUT_LOGITS given twice/,
  ],
  'no output of an image': [
    { outputs: [{ output: 'OUTPUT_CLASSIFIER', encoding: 'ENCODING_FP32' }] },
    GrpcStatus.INVALID_ARGUMENT,
    /hello\.outputs: no output per image given/,
  ],
  'a scale without an embedding in int8': [
    {
      outputs: [
        { output: 'OUTPUT_EMBEDDING', encoding: 'ENCODING_FP16' },
        { output: 'OUTPUT_EMBEDDING_SCALE', encoding: 'ENCODING_FP32' },
      ],
    },
    GrpcStatus.INVALID_ARGUMENT,
    /OUTPUT_EMBEDDING_SCALE given, wanted OUTPUT_EMBEDDING as ENCODING_INT8 as well/,
  ],
  'a row of the classifier beyond the largest piece': [
    {
      maxChunkBytes: 35,
      outputs: [
        { output: 'OUTPUT_FEATURE_NORM', encoding: 'ENCODING_FP32' },
        { output: 'OUTPUT_CLASSIFIER', encoding: 'ENCODING_FP32' },
      ],
    },
    GrpcStatus.FAILED_PRECONDITION,
    /a row of OUTPUT_CLASSIFIER takes 36 bytes, chunks have at most 35/,
  ],
  'an output of a later version': [
    { outputs: [{ output: 77 as 1, encoding: 'ENCODING_FP32' }] },
    GrpcStatus.FAILED_PRECONDITION,
    /hello\.outputs\[0\]\.output: 77 given/,
  ],
  'an encoding that this server lacks': [
    { outputs: [{ output: 'OUTPUT_EMBEDDING', encoding: 'ENCODING_INT8' }] },
    GrpcStatus.FAILED_PRECONDITION,
    /encoding: ENCODING_INT8 given, this server sends OUTPUT_EMBEDDING as ENCODING_FP32, ENCODING_FP16/,
  ],
  'logits in int8': [
    { outputs: [{ output: 'OUTPUT_LOGITS', encoding: 'ENCODING_INT8' }] },
    GrpcStatus.FAILED_PRECONDITION,
    /ENCODING_INT8 given, this server sends OUTPUT_LOGITS as ENCODING_FP32, ENCODING_FP16/,
  ],
  'a credit beyond exact numbers': [
    { creditBytes: '18446744073709551615' },
    GrpcStatus.INVALID_ARGUMENT,
    /hello\.credit_bytes: .* given, wanted at most 2\^53 - 1/,
  ],
};

for (const [name, [fields, code, message]] of Object.entries(refusals)) {
  test(`hello with ${name} is refused with what came and what was wanted`, async () => {
    const peer = new DistillPeer(running.port);
    peer.send({ hello: hello(fields) });
    const status = await peer.status;
    assert.equal(status.code, code);
    assert.match(status.details, message);
  });
}

test('the welcome describes the teacher, the granted outputs and the limits', async () => {
  const peer = new DistillPeer(running.port);
  const welcome = await peer.greet({
    outputs: [
      { output: 'OUTPUT_FEATURE_NORM', encoding: 'ENCODING_FP16' },
      { output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP16' },
    ],
  });
  assert.ok(welcome?.teacher && welcome.limits, 'the welcome lacks the teacher or the limits');
  const { teacher, limits } = welcome;
  assert.equal(welcome.protocolVersion, 1);
  assert.equal(teacher.digest, engine.info.digest);
  assert.equal(teacher.classes, 3);
  assert.equal(teacher.featureChannels, 8);
  assert.equal(teacher.outputStride, 8);
  assert.deepEqual(teacher.pixelMean.map(Math.fround), engine.info.pixelMean.map(Math.fround));
  assert.equal(teacher.channelOrder, 'CHANNEL_ORDER_RGB');
  assert.deepEqual(teacher.encodings, ['ENCODING_FP32', 'ENCODING_FP16']);
  // A norm always travels in fp32, and outputs keep their order.
  assert.deepEqual(welcome.outputs, [
    { output: 'OUTPUT_FEATURE_NORM', encoding: 'ENCODING_FP32' },
    { output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP16' },
  ]);
  assert.equal(welcome.creditBytes, 1_000_000);
  assert.equal(limits.maxImagePixels, 4096);
  assert.equal(limits.maxInflightImages, 16);
  assert.equal(limits.maxChunkBytes, 65_536);
  assert.equal(limits.defaultTimeoutMs, 60_000);
});

test('int8 comes with scales, and the classifier is sent once, before any answer', async () => {
  const offering = await startTestServer(
    engine,
    { chunkBytes: 72 },
    undefined,
    {},
    { encodings: ['fp32', 'int8'] },
  );
  const peer = new DistillPeer(offering.port);
  const fields = {
    outputs: [
      { output: 'OUTPUT_EMBEDDING', encoding: 'ENCODING_INT8' },
      { output: 'OUTPUT_EMBEDDING_SCALE', encoding: 'ENCODING_FP16' },
      { output: 'OUTPUT_CLASSIFIER', encoding: 'ENCODING_FP16' },
    ],
  } as const;
  const welcome = await peer.greet({ outputs: [...fields.outputs] });
  assert.deepEqual(welcome?.teacher?.encodings, ['ENCODING_FP32', 'ENCODING_INT8']);
  assert.deepEqual(
    welcome?.outputs.map(({ encoding }) => encoding),
    ['ENCODING_INT8', 'ENCODING_FP32', 'ENCODING_FP32'],
  );
  peer.send({ image: image(0, 7) });
  const pieces = await peer.takeAnswer(1);
  // Two rows of 9 floats fit.
  assert.deepEqual(
    pieces.map(({ output, id, rowBegin, rowEnd }) => [output, id, rowBegin, rowEnd]),
    [
      ['OUTPUT_CLASSIFIER', 0, 0, 2],
      ['OUTPUT_CLASSIFIER', 0, 2, 3],
    ],
  );
  assert.deepEqual(
    Buffer.concat(pieces.map(({ data }) => data)),
    Buffer.from(engine.classifier!.data),
  );
  const answer = await peer.takeAnswer(2);
  const bytes = (output: string) =>
    answer.filter((one) => one.output === output).reduce((sum, { data }) => sum + data.length, 0);
  assert.equal(bytes('OUTPUT_EMBEDDING'), 2 * 3 * 8);
  assert.equal(bytes('OUTPUT_EMBEDDING_SCALE'), 2 * 3 * 4);
});

test('a first message other than hello, a second hello and an empty stream are refused', async () => {
  const early = new DistillPeer(running.port);
  early.send({ image: image(1) });
  const status = await early.status;
  assert.equal(status.code, GrpcStatus.INVALID_ARGUMENT);
  assert.equal(status.details, 'first message: image given, wanted hello');

  const twice = new DistillPeer(running.port);
  await twice.greet();
  twice.send({ hello: hello() });
  assert.equal((await twice.status).details, 'hello: given twice, wanted once');

  const silent = new DistillPeer(running.port);
  silent.halfClose();
  assert.equal((await silent.status).details, 'first message: none, wanted hello');
});

test('garbage bytes end the stream with INVALID_ARGUMENT, before and after hello', async () => {
  const garbage = Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x07, 1, 2, 3]);
  const first = new DistillPeer(running.port);
  first.send(garbage);
  const later = new DistillPeer(running.port);
  await later.greet();
  later.send(garbage);
  for (const peer of [first, later]) {
    const status = await peer.status;
    assert.equal(status.code, GrpcStatus.INVALID_ARGUMENT);
    assert.match(status.details, /^message: not a DistillRequest/);
    peer.close();
  }
});

test('members of a later version are ignored', async () => {
  const peer = new DistillPeer(running.port);
  await peer.greet();
  // Field 100, length-delimited, "new".
  peer.send(Buffer.from([0xa2, 0x06, 0x03, 0x6e, 0x65, 0x77]));
  peer.send({ image: image(1) });
  await peer.takeAnswer(3);
});

test('a client that never sends a hello is disconnected', async () => {
  const impatient = await startTestServer(engine, { helloTimeoutMs: 30 });
  const peer = new DistillPeer(impatient.port);
  // Metadata alone opens the call; nothing is sent.
  const status = await peer.status;
  assert.equal(status.code, GrpcStatus.DEADLINE_EXCEEDED);
  assert.equal(status.details, 'no hello within 30 ms');
});

test('a stream beyond the limit gets RESOURCE_EXHAUSTED; once one ends, a new one is accepted', async () => {
  const narrow = await startTestServer(engine, { maxStreams: 1 });
  const first = new DistillPeer(narrow.port);
  await first.greet();
  const second = new DistillPeer(narrow.port);
  second.send({ hello: hello() });
  const status = await second.status;
  assert.equal(status.code, GrpcStatus.RESOURCE_EXHAUSTED);
  assert.match(status.details, /1 streams are open/);
  first.halfClose();
  assert.equal((await first.status).code, GrpcStatus.OK);
  const third = new DistillPeer(narrow.port);
  await third.greet();
});
