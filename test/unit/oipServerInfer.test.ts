/** Inference over the Open Inference Protocol: every output, bit for bit as on a Distill stream. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ModelInferRequestInput } from '../../src/oip/generated/inference/ModelInferRequest.js';
import type { ModelInferResponse } from '../../src/oip/generated/inference/ModelInferResponse.js';
import type { Encoding } from '../../src/stream/generated/cirkd/teacher/v1/Encoding.js';
import { decodeHalf, encodeHalf } from '../../src/wire/half.js';
import { floatsOf, inferRequest, OipPeer, rawOf } from '../support/oip/oipPeer.js';
import { type OipServerChoices, startOipServer } from '../support/oip/oipServer.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
});

const ALL = [
  'logits',
  'embedding',
  'feature_norm',
  'feature',
  'logits_fp16',
  'embedding_fp16',
  'feature_fp16',
];

async function serve(choices: OipServerChoices = {}, engine = new GatedEngine(true)) {
  const server = await startOipServer(engine, choices);
  return { ...server, engine, peer: new OipPeer(server.port) };
}

/** The bytes that a Distill stream gives for an image, by output. */
async function distilled(
  port: number,
  shade: number,
  size: readonly [number, number],
  encoding: Encoding = 'ENCODING_FP32',
): Promise<Record<string, Buffer>> {
  const peer = new DistillPeer(port);
  const outputs = (['OUTPUT_LOGITS', 'OUTPUT_EMBEDDING', 'OUTPUT_FEATURE_NORM'] as const).map(
    (output) => ({ output, encoding }),
  );
  await peer.greet({ outputs });
  peer.send({ image: image(1, shade, size) });
  const chunks = await peer.takeAnswer(3);
  peer.close();
  const bytesOf = (name: string) =>
    Buffer.concat(chunks.filter(({ output }) => output === name).map(({ data }) => data));
  return {
    logits: bytesOf('OUTPUT_LOGITS'),
    embedding: bytesOf('OUTPUT_EMBEDDING'),
    feature_norm: bytesOf('OUTPUT_FEATURE_NORM'),
  };
}

function assertSame(response: ModelInferResponse, name: string, wanted: Buffer): void {
  assert.ok(wanted.length > 0, `${name}: nothing to compare`);
  assert.ok(rawOf(response, name).equals(wanted), `${name}: other bytes`);
}

const halvesIn = (bytes: Buffer) => new Uint16Array(new Uint8Array(bytes).buffer);

test('no output named: all in single precision, bit for bit those of a Distill stream', async () => {
  const { port, peer } = await serve();
  for (const size of [[16, 24] as const, [33, 9] as const]) {
    const wanted = await distilled(port, 5, size);
    const response = await peer.answer(inferRequest({ id: 'mine', shades: [5], size }));
    const [h, w] = [Math.ceil(size[0] / 8), Math.ceil(size[1] / 8)];
    assert.deepEqual(
      [response.modelName, response.modelVersion, response.id],
      ['cirkd', '1', 'mine'],
    );
    assert.deepEqual(
      response.outputs.map(({ name, datatype, shape }) => [name, datatype, ...shape]),
      [
        ['logits', 'FP32', 1, h, w, 3],
        ['embedding', 'FP32', 1, h, w, 8],
        ['feature_norm', 'FP32', 1, h, w],
        ['feature', 'FP32', 1, h, w, 8],
      ],
    );
    assert.ok(
      response.outputs.every(({ contents }) => contents === null),
      'contents were used',
    );
    for (const [name, bytes] of Object.entries(wanted)) assertSame(response, name, bytes);
    const [rows, norms] = [floatsOf(response, 'embedding'), floatsOf(response, 'feature_norm')];
    const feature = rows.map((value, at) => value * norms[Math.floor(at / 8)]!);
    assertSame(response, 'feature', Buffer.from(feature.buffer));
  }
});

test('chosen outputs come alone, in the order of the request, one named twice once', async () => {
  const { peer, engine } = await serve();
  const { outputs } = await peer.answer(
    inferRequest({ outputs: ['feature_norm', 'logits', 'feature_norm'] }),
  );
  assert.deepEqual(
    outputs.map(({ name }) => name),
    ['feature_norm', 'logits'],
  );
  assert.deepEqual(engine.batches, [[1]]);
});

test('half precision: the bytes of a Distill stream in fp16, and of all outputs at once', async () => {
  const { port, peer } = await serve();
  const size = [16, 16] as const;
  const wanted = await distilled(port, 9, size, 'ENCODING_FP16');
  const half = await peer.answer(
    inferRequest({ shades: [9], size, outputs: ['logits_fp16', 'embedding_fp16'] }),
  );
  assert.deepEqual(
    half.outputs.map(({ datatype, shape }) => [datatype, ...shape]),
    [
      ['FP16', 1, 2, 2, 3],
      ['FP16', 1, 2, 2, 8],
    ],
  );
  assertSame(half, 'logits_fp16', wanted['logits']!);
  assertSame(half, 'embedding_fp16', wanted['embedding']!);
  const all = await peer.answer(inferRequest({ shades: [9], size, outputs: ALL }));
  assertSame(all, 'logits_fp16', wanted['logits']!);
  assertSame(all, 'embedding_fp16', wanted['embedding']!);
  const feature = encodeHalf(floatsOf(all, 'feature'));
  assertSame(all, 'feature_fp16', Buffer.from(feature.buffer));
  assert.ok(decodeHalf(halvesIn(rawOf(all, 'feature_fp16'))).every(Number.isFinite), 'not finite');
});

test('three images in a request: three of the network, put together in order', async () => {
  const { port, peer, engine, answers } = await serve({ batch: { maxImages: 2, maxDelayMs: 0 } });
  const size = [24, 16] as const;
  const response = await peer.answer(inferRequest({ shades: [7, 8, 9], size }));
  assert.deepEqual(engine.batches, [[7, 8], [9]]);
  assert.deepEqual(answers, ['OK', 'OK', 'OK']);
  assert.deepEqual(response.outputs[0]?.shape, [3, 3, 2, 3]);
  const single = [
    await distilled(port, 7, size),
    await distilled(port, 8, size),
    await distilled(port, 9, size),
  ];
  for (const name of ['logits', 'embedding', 'feature_norm']) {
    assertSame(response, name, Buffer.concat(single.map((one) => one[name]!)));
  }
});

test('typed contents instead of raw ones: packed and one by one', async () => {
  const { peer } = await serve();
  const raw = inferRequest({ shades: [200], size: [8, 8], outputs: ['logits', 'feature_norm'] });
  const wanted = await peer.answer(raw);
  const [input] = raw.inputs;
  const typed = await peer.answer({
    ...raw,
    rawInputContents: [],
    inputs: [{ ...input!, contents: { uintContents: Array(192).fill(200) } }],
  });
  assert.deepEqual(typed.rawOutputContents, wanted.rawOutputContents);
  // modelName, one output, and the input with a field per element.
  const element = Buffer.from('20c801', 'hex');
  const contents = Buffer.concat(Array(192).fill(element));
  const shape = Buffer.from('1a0401080803', 'hex');
  const named = Buffer.concat([
    Buffer.from('0a05696d616765120555494e5438', 'hex'),
    shape,
    Buffer.from([0x2a, 0xc0, 0x04]),
    contents,
  ]);
  const request = Buffer.concat([
    Buffer.from('0a056369726b64', 'hex'),
    Buffer.from([0x2a, 0xd7, 0x04]),
    named,
    Buffer.from('32080a066c6f67697473', 'hex'),
  ]);
  assert.equal(named.length, 0x57 + 4 * 128);
  const unpacked = await peer.infer(request);
  assert.ok(!(unpacked instanceof Error), String(unpacked));
  assert.deepEqual(unpacked.rawOutputContents, wanted.rawOutputContents.slice(0, 1));
});

test('a teacher without a feature, and one without single precision', async () => {
  const plain = await serve({}, new GatedEngine(true, 0));
  const { outputs } = await plain.peer.answer(inferRequest());
  assert.deepEqual(
    outputs.map(({ name }) => name),
    ['logits'],
  );
  const half = await serve({ encodings: ['fp16'] });
  const answer = await half.peer.answer(inferRequest());
  assert.deepEqual(
    answer.outputs.map(({ name, datatype }) => [name, datatype]),
    [
      ['feature_norm', 'FP32'],
      ['logits_fp16', 'FP16'],
      ['embedding_fp16', 'FP16'],
      ['feature_fp16', 'FP16'],
    ],
  );
});

test('parameters: those that Triton knows, and unknown ones, change no answer', async () => {
  const { peer } = await serve();
  const wanted = await peer.answer(inferRequest());
  const parameters: ModelInferRequestInput['parameters'] = {
    priority: { uint64Param: 2 },
    timeout: { int64Param: 30_000_000 },
    sequence_id: { stringParam: 'a' },
    sequence_start: { boolParam: true },
    triton_enable_empty_final_response: { boolParam: true },
    mine: { doubleParam: 0.5 },
  };
  const answer = await peer.answer({ ...inferRequest(), parameters });
  assert.deepEqual(answer.rawOutputContents, wanted.rawOutputContents);
});
