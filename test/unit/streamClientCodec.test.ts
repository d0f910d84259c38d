/** The hand-written coders of bulk messages against protobufjs, and against bytes that are none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawsFor } from '../../src/random/draws.js';
import { encodeRequest } from '../../src/stream/client/distill/requestEncoder.js';
import { decodeResponse } from '../../src/stream/client/distill/responseDecoder.js';
import { TeacherService } from '../../src/stream/codec/teacherService.js';
import type { DistillResponseInput } from '../../src/stream/generated/cirkd/teacher/v1/DistillResponse.js';

const { Distill } = TeacherService.service;
const serialize = Distill.responseSerialize as (response: DistillResponseInput) => Buffer;

const TENSOR = {
  id: 2 ** 53 - 1,
  attempt: 3,
  output: 'OUTPUT_EMBEDDING',
  dtype: 'DTYPE_FP16',
  shape: [64, 128, 512],
  rowBegin: 7,
  rowEnd: 300,
  crc32c: 0xfedcba98,
  data: Buffer.from([1, 2, 3, 255]),
} as const;

const CHUNK = { ...TENSOR, output: 'embedding', dtype: 'fp16' };

test('a chunk encoded by protobufjs is decoded, its data a view on the message', () => {
  const bytes = serialize({ tensor: { ...TENSOR, shape: [...TENSOR.shape] } });
  const message = decodeResponse(bytes);
  assert.ok(message.kind === 'tensor', message.kind);
  assert.deepEqual({ ...message.chunk, data: Buffer.from(message.chunk.data) }, CHUNK);
  assert.equal(message.chunk.data.buffer, bytes.buffer);
});

test('chunks with every field absent, and with every number at its maximum, are decoded', () => {
  const empty = decodeResponse(serialize({ tensor: {} }));
  assert.ok(empty.kind === 'tensor', empty.kind);
  assert.deepEqual(
    { ...empty.chunk, data: [...empty.chunk.data] },
    {
      id: 0,
      attempt: 0,
      output: undefined,
      dtype: undefined,
      shape: [],
      rowBegin: 0,
      rowEnd: 0,
      crc32c: 0,
      data: [],
    },
  );
  const max = 0xffffffff;
  const large = decodeResponse(
    serialize({
      tensor: { attempt: max, shape: [max, 0], rowBegin: max, rowEnd: max, crc32c: max },
    }),
  );
  assert.ok(large.kind === 'tensor', large.kind);
  const { attempt, shape, rowBegin, rowEnd, crc32c } = large.chunk;
  assert.deepEqual([attempt, shape, rowBegin, rowEnd, crc32c], [max, [max, 0], max, max, max]);
});

test('fields of later versions are skipped, unpacked shapes are read, unknown enum numbers become undefined', () => {
  const body = Buffer.from([
    ...[0x08, 5], // id
    ...[0x18, 77], // output, unknown
    ...[0x20, 2], // dtype fp16
    ...[0x28, 4, 0x28, 0x80, 1], // shape, one by one
    ...[0xf8, 0x07, 1], // field 127, varint
    ...[0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8], // field 100, fixed64
    ...[0xa2, 0x06, 2, 9, 9], // field 100, bytes
    ...[0xa5, 0x06, 1, 2, 3, 4], // field 100, fixed32
    ...[0x4a, 1, 42], // data
  ]);
  const wanted = { id: 5, output: undefined, dtype: 'fp16', shape: [4, 128], data: [42] };
  const group = [0xa3, 0x06, 0x08, 1, 0xa4, 0x06]; // field 100 as a group: left to protobufjs
  for (const whole of [body, Buffer.concat([Buffer.from(group), body])]) {
    const message = decodeResponse(Buffer.from([0x12, whole.length, ...whole]));
    assert.ok(message.kind === 'tensor', message.kind);
    const { id, output, dtype, shape, data } = message.chunk;
    assert.deepEqual({ id, output, dtype, shape, data: [...data] }, wanted);
  }
});

test('the other messages are decoded, and a member of a later version is unknown', () => {
  assert.deepEqual(decodeResponse(serialize({ creditBytes: 2 ** 40 })), {
    kind: 'credit',
    bytes: 2 ** 40,
  });
  assert.deepEqual(decodeResponse(serialize({ draining: { graceMs: 0 } })), {
    kind: 'draining',
    graceMs: 0,
  });
  const error = decodeResponse(serialize({ error: { id: 4, code: 3, message: 'no' } }));
  assert.ok(
    error.kind === 'error' && error.error.id === 4 && error.error.retryable === false,
    JSON.stringify(error),
  );
  assert.equal(decodeResponse(serialize({ welcome: { protocolVersion: 1 } })).kind, 'welcome');
  assert.deepEqual(decodeResponse(Buffer.from([0xfa, 0x07, 1, 0])), { kind: 'unknown' });
  assert.deepEqual(decodeResponse(Buffer.alloc(0)), { kind: 'unknown' });
});

test('truncated and mutated messages never throw, and no view extends beyond the message', () => {
  const bytes = serialize({ tensor: { ...TENSOR, shape: [...TENSOR.shape] } });
  for (let length = 1; length < bytes.length; length++) {
    assert.equal(decodeResponse(bytes.subarray(0, length)).kind, 'malformed', `${length} bytes`);
  }
  const draws = drawsFor(1, 'test');
  const kinds = new Set<string>();
  for (let i = 0; i < 5000; i++) {
    const mutated = Buffer.from(bytes);
    for (let n = draws.integer(4); n >= 0; n--) {
      mutated[draws.integer(mutated.length)] = draws.integer(256);
    }
    const message = decodeResponse(mutated);
    kinds.add(message.kind);
    if (message.kind === 'tensor')
      assert.ok(message.chunk.data.length <= mutated.length, String(message.chunk.data.length));
  }
  assert.ok(kinds.has('malformed') && kinds.has('tensor'), [...kinds].join());
});

test('protobufjs decodes an encoded image', () => {
  for (const rgb of [
    new Uint8Array(0),
    new Uint8Array(127).fill(7),
    new Uint8Array(70_000).fill(9),
  ]) {
    const image = {
      id: 2 ** 53 - 1,
      attempt: 0xffffffff,
      timeoutMs: 86_400_000,
      sample: 'Straße/köln_000001.png',
      augmentationSeed: 2n ** 64n - 1n,
      height: 512,
      width: 1024,
      crc32c: 0x80000001,
      rgb,
    };
    const { message, image: read } = Distill.requestDeserialize(encodeRequest({ image }));
    assert.equal(message, 'image');
    const { sample, augmentationSeed, ...fields } = image;
    const { sampleKey, ...readFields } = read!;
    assert.deepEqual({ ...readFields, rgb: new Uint8Array(readFields.rgb) }, fields);
    assert.equal(sampleKey!.sample, sample);
    assert.equal(sampleKey!.augmentationSeed, Number(augmentationSeed));
  }
});

test('hello, cancel and credit go through protobufjs', () => {
  const hello = Distill.requestDeserialize(
    encodeRequest({ hello: { protocolVersion: 1, runId: 'run', creditBytes: 5 } }),
  );
  assert.equal(hello.hello!.runId, 'run');
  assert.equal(Distill.requestDeserialize(encodeRequest({ cancel: { id: 9 } })).cancel!.id, 9);
  assert.equal(Distill.requestDeserialize(encodeRequest({ creditBytes: 7 })).creditBytes, 7);
});
