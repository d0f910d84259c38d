/** Tensor data that is put in its place while it arrives. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { drawsFor } from '../../src/random/draws.js';
import { ArrivingChunk } from '../../src/stream/client/distill/arrivingChunk.js';
import { DistillStream } from '../../src/stream/client/distill/distillStream.js';
import { ReplyAssembly } from '../../src/stream/client/distill/replyAssembly.js';
import {
  decodeResponse,
  type TeacherMessage,
} from '../../src/stream/client/distill/responseDecoder.js';
import {
  readChunkHead,
  type TensorChunkView,
} from '../../src/stream/client/distill/tensorChunk.js';
import { withDefaults } from '../../src/stream/client/options.js';
import { encodeTensorResponse } from '../../src/stream/server/messages.js';
import { crc32c } from '../../src/wire/crc32c.js';
import { eventually } from '../support/eventually.js';
import { imageOf, studentOptions } from '../support/students/scriptedStudent.js';
import { ScriptedTeacher } from '../support/teachers/scriptedTeacher.js';

const ROWS = 4;
const ROW_BYTES = 12;
const OUTPUT = { name: 'embedding', dtype: 'int8', shape: [ROWS, ROW_BYTES] } as const;
const opened: { stop(): void }[] = [];

afterEach(() => {
  for (const each of opened.splice(0)) each.stop();
});

/** A message with rows of the output, as a teacher sends it. */
function messageOf(rowBegin: number, rowEnd: number, changes: object = {}): Buffer {
  const data = Buffer.from(
    Array.from({ length: (rowEnd - rowBegin) * ROW_BYTES }, (_, i) => rowBegin * ROW_BYTES + i),
  );
  return encodeTensorResponse({
    ...{ id: 1, attempt: 0, output: 'OUTPUT_EMBEDDING', dtype: 'DTYPE_INT8' },
    ...{ shape: [...OUTPUT.shape], rowBegin, rowEnd, crc32c: crc32c(data), data },
    ...changes,
  }).joined();
}

/** Begins to take the message, up to its last `left` bytes; the result takes these. */
function begin(assembly: ReplyAssembly, message: Buffer, left = 0): (() => TensorChunkView) | null {
  const head = readChunkHead(message, message.length)!;
  const place = assembly.place(head);
  if (place === undefined) return null;
  const chunk = new ArrivingChunk(head, place);
  const at = message.length - left;
  for (let i = 0; i < at; i += 10) chunk.take(message.subarray(i, Math.min(at, i + 10)));
  return () => {
    if (left > 0) chunk.take(message.subarray(at));
    return chunkOf(chunk.end());
  };
}

function chunkOf(message: TeacherMessage): TensorChunkView {
  assert.ok(message.kind === 'tensor', message.kind);
  return message.chunk;
}

const whole = (message: Buffer) => chunkOf(decodeResponse(message));
const bytesOf = (assembly: ReplyAssembly) => [...new Uint8Array(assembly.tensor('embedding').data)];
const ALL = Array.from({ length: ROWS * ROW_BYTES }, (_, i) => i);

test('chunks that arrive in pieces, and whole ones between them, make up the tensor', () => {
  const assembly = new ReplyAssembly([OUTPUT]);
  // The second begins to arrive before the first was accepted.
  const first = begin(assembly, messageOf(0, 1))!;
  const second = begin(assembly, messageOf(1, 2), 7)!;
  assert.equal(assembly.accept(first()), false);
  assert.equal(assembly.accept(second()), false);
  assert.equal(assembly.accept(whole(messageOf(2, 3))), false);
  assert.equal(assembly.accept(begin(assembly, messageOf(3, 4))!()), true);
  assert.deepEqual(bytesOf(assembly), ALL);
});

test('only the next rows of the agreed tensor get a place', () => {
  const assembly = new ReplyAssembly([OUTPUT]);
  const refused: Record<string, Buffer> = {
    'later rows': messageOf(1, 2),
    'rows beyond the end': messageOf(0, 5),
    'no rows': messageOf(0, 0),
    'another dtype': messageOf(0, 1, { dtype: 'DTYPE_FP16' }),
    'another output': messageOf(0, 1, { output: 'OUTPUT_LOGITS' }),
    'another shape': messageOf(0, 1, { shape: [ROWS, ROW_BYTES, 1] }),
    'too little data': messageOf(0, 1, { data: Buffer.alloc(ROW_BYTES - 1) }),
  };
  for (const [name, message] of Object.entries(refused)) {
    assert.equal(begin(assembly, message), null, name);
    assert.throws(() => assembly.accept(whole(message)), /given, wanted/, name);
  }
  assert.ok(begin(assembly, messageOf(0, 1)), 'the next row');
  assert.equal(begin(assembly, messageOf(0, 1)), null, 'the same row again');
});

test('a flipped bit, in the data or in the checksum, is seen', () => {
  const message = messageOf(0, 2);
  for (const at of [message.length - 1, message.length - 2 * ROW_BYTES]) {
    const flipped = Buffer.from(message);
    flipped[at]! ^= 16;
    const assembly = new ReplyAssembly([OUTPUT]);
    const chunk = begin(assembly, flipped)!;
    assert.throws(
      () => assembly.accept(chunk()),
      /embedding: crc32c 0x[0-9a-f]{8} given, the bytes/,
    );
  }
  const assembly = new ReplyAssembly([OUTPUT]);
  const chunk = begin(assembly, messageOf(0, 2, { crc32c: 1 }))!;
  assert.throws(() => assembly.accept(chunk()), /crc32c 0x00000001 given/);
});

test('an answer is never complete while another chunk still writes to its memory', () => {
  const assembly = new ReplyAssembly([OUTPUT]);
  const earlier = whole(messageOf(0, ROWS));
  // The same rows again, before the first message was accepted.
  const arriving = begin(assembly, messageOf(0, ROWS), 5);
  assert.ok(arriving, 'the rows are not received yet');
  assert.throws(() => assembly.accept(earlier), /embedding: rows \[0, 4\) given twice/);
});

test('the fields before the data are those that the decoder of whole messages reads', () => {
  const draws = drawsFor(8, 'test');
  const plain = messageOf(1, 3);
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    const message = Buffer.from(plain);
    for (let n = draws.integer(3); n > 0; n--) message[draws.integer(40)] = draws.integer(256);
    const head = readChunkHead(message.subarray(0, 20 + draws.integer(60)), message.length);
    if (head === undefined) continue;
    taken++;
    const { data, ...fields } = chunkOf(decodeResponse(message));
    const { data: none, ...read } = head.chunk;
    assert.deepEqual(read, fields);
    assert.equal(none.length, 0);
    assert.deepEqual(message.subarray(head.dataBegin), Buffer.from(data));
    assert.equal(head.dataBytes, data.length);
  }
  assert.ok(taken > 2000, `${taken} of 20000`);
});

test('over a connection, data goes where it was told to; what has no place comes with its bytes', async () => {
  const teacher = await ScriptedTeacher.start();
  opened.push(teacher);
  const places: Uint8Array[] = [];
  const chunks: TensorChunkView[] = [];
  const { options } = studentOptions([teacher.address]);
  const stream = new DistillStream({ address: teacher.address }, withDefaults(options), {
    place({ chunk, dataBytes }) {
      if (chunk.output === 'feature_norm') return undefined;
      const place = new Uint8Array(new ArrayBuffer(dataBytes));
      places.push(place);
      return place;
    },
    onMessage: (message) => {
      if (message.kind === 'tensor') chunks.push(message.chunk);
    },
    onEnd: (code, details) => assert.fail(`ended with ${code}: ${details}`),
  });
  opened.push({ stop: () => stream.destroy() });
  stream.grantUpTo(1_000_000);
  // 9 rows of maps in chunks of a row: logits, embedding, norms.
  const image = imageOf(300, 72, 8000);
  stream.send({ ...image, id: 5, attempt: 2, timeoutMs: 9000, crc32c: 0 });
  await eventually(() => chunks.length === 27);
  const placed = chunks.filter(({ receivedCrc32c }) => receivedCrc32c !== undefined);
  assert.deepEqual(
    placed.map(({ data }) => data.buffer),
    places.map(({ buffer }) => buffer),
  );
  assert.equal(placed.length, 18);
  for (const chunk of chunks) {
    assert.equal(crc32c(chunk.data), chunk.crc32c, `${chunk.output} from row ${chunk.rowBegin}`);
    assert.ok(chunk.receivedCrc32c === undefined || chunk.receivedCrc32c === chunk.crc32c);
  }
});
