import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TeacherService } from '../../src/stream/codec/teacherService.js';
import { encodeTensorResponse, type OutgoingChunk } from '../../src/stream/server/messages.js';

const plain: OutgoingChunk = {
  id: 7,
  attempt: 1,
  output: 'OUTPUT_EMBEDDING',
  dtype: 'DTYPE_FP16',
  shape: [64, 128, 512],
  rowBegin: 3,
  rowEnd: 5,
  crc32c: 0xdeadbeef,
  data: Buffer.from([1, 2, 3, 4, 5]),
};

const cases: Record<string, OutgoingChunk> = {
  plain,
  zeros: { ...plain, id: 0, attempt: 0, rowBegin: 0, crc32c: 0 },
  'varints of many bytes': {
    ...plain,
    id: Number.MAX_SAFE_INTEGER,
    attempt: 0xffffffff,
    shape: [127, 128, 16383, 16384],
    rowBegin: 0x7fffffff,
    rowEnd: 0xffffffff,
    crc32c: 0xffffffff,
  },
  'two dimensions': { ...plain, output: 'OUTPUT_FEATURE_NORM', dtype: 'DTYPE_FP32', shape: [9, 4] },
  'data of 1 MiB': { ...plain, data: Buffer.alloc(1_048_576, 0xa5) },
};

for (const [name, chunk] of Object.entries(cases)) {
  test(`tensor response, ${name}: the bytes of protobufjs, and they decode to the chunk`, () => {
    const { responseSerialize, responseDeserialize } = TeacherService.service.Distill;
    const bytes = encodeTensorResponse(chunk).joined();
    assert.ok(bytes.equals(responseSerialize({ tensor: chunk })), 'other bytes than protobufjs');
    const decoded = responseDeserialize(bytes);
    assert.equal(decoded.message, 'tensor');
    assert.deepEqual(decoded.tensor, chunk);
  });
}
