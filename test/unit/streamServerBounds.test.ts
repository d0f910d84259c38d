/** Messages that would be costly to decode are refused by their layout, before they are. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { encodeRequest } from '../../src/stream/client/distill/requestEncoder.js';
import { decodeResponse } from '../../src/stream/client/distill/responseDecoder.js';
import { type IncomingRequest, teacherServerDefinition } from '../../src/stream/server/messages.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

const MIB = 1_048_576;

/** The bytes `pattern`, over and over. */
function repeated(bytes: number, ...pattern: number[]): Buffer {
  return Buffer.alloc(bytes, Buffer.from(pattern));
}

/** `content` as length-delimited field 2: an image, or a tensor. */
function asMember(content: Buffer): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest > 0x7f; rest >>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([0x12, ...length, rest]), content]);
}

const bulk = Buffer.alloc(70_000, 9);
const costly: Record<string, Buffer> = {
  'cancels, two bytes each': repeated(MIB, 0x1a, 0x00),
  'a hello of outputs': Buffer.concat([
    Buffer.from([0x0a, 0xc0, 0x84, 0x3d]),
    repeated(1e6, 0x1a, 0),
  ]),
  'an image of sample keys': asMember(repeated(MIB, 0x22, 0x00)),
  'an image of empty pixels and data': asMember(repeated(MIB, 0x42, 0x00)),
  'an image of unknown numbers': asMember(repeated(MIB, 0x78, 0x01)),
  'groups in an image': asMember(repeated(MIB, 0x7b, 0x7c)),
  'an image and a cancel': Buffer.concat([
    encodeRequest({
      image: { ...image(1), attempt: 0, timeoutMs: 1, sample: '', augmentationSeed: 0n, rgb: bulk },
    }),
    Buffer.from([0x1a, 0x00]),
  ]),
};

for (const [name, bytes] of Object.entries(costly)) {
  test(`${name}: malformed for the server`, () => {
    const deserialize = teacherServerDefinition().Distill?.requestDeserialize;
    const request = deserialize?.(bytes) as IncomingRequest;
    assert.ok('malformed' in request, 'decoded');
    assert.match(request.malformed, /^(message: .* (besides pixels|fields in field 2)|wire type)/);
  });
}

test('large pixel data and many small fields in a small message are accepted', () => {
  const deserialize = teacherServerDefinition().Distill?.requestDeserialize;
  const fields = { attempt: 0, timeoutMs: 1, sample: 'x'.repeat(60_000), augmentationSeed: 0n };
  const large = deserialize?.(encodeRequest({ image: { ...image(1), ...fields, rgb: bulk } }));
  assert.equal((large as { image?: { rgb: Buffer } }).image?.rgb.length, bulk.length);
  const small = deserialize?.(repeated(65_536, 0x1a, 0x00)) as IncomingRequest;
  assert.ok(!('malformed' in small));
});

test('the client accepts nothing large but tensor data, and no shape of many dimensions', () => {
  const garbage: Record<string, Buffer> = {
    'errors, two bytes each': repeated(MIB, 0x1a, 0x00),
    'groups in a tensor': asMember(repeated(MIB, 0x7b, 0x7c)),
    'fields in a tensor': asMember(repeated(MIB, 0x78, 0x01)),
    'a shape, packed': asMember(Buffer.concat([Buffer.from([0x2a, 17]), Buffer.alloc(17, 1)])),
    'a shape, one by one': asMember(repeated(40, 0x28, 0x01)),
  };
  for (const [name, bytes] of Object.entries(garbage)) {
    assert.equal(decodeResponse(bytes).kind, 'malformed', name);
  }
});

test('over the wire: the stream ends INVALID_ARGUMENT with a warning, and other streams continue', async () => {
  const warnings: [string, object][] = [];
  const { port } = await startTestServer(
    new GatedEngine(true),
    { maxMessageBytes: 16 * MIB },
    undefined,
    { onEvent: (level, text, fields) => level === 'warn' && warnings.push([text, fields]) },
  );
  const peer = new DistillPeer(port);
  const other = new DistillPeer(port);
  await peer.greet();
  await other.greet();
  peer.send(repeated(15 * MIB, 0x1a, 0x00));
  const status = await peer.status;
  assert.equal(status.code, GrpcStatus.INVALID_ARGUMENT);
  assert.match(
    status.details,
    /15728640 bytes besides pixels or tensor data given, wanted at most/,
  );
  other.send({ image: image(1) });
  await other.takeAnswer(3);
  assert.equal(warnings.length, 1);
  const [text, fields] = warnings[0] as [string, { peer: string; code: string; run: string }];
  assert.deepEqual([text, fields.code, fields.run], ['stream refused', 'INVALID_ARGUMENT', 'test']);
  assert.match(fields.peer, /^127\.0\.0\.1:\d+$/);
});

test('a hello with too many outputs is refused, naming their number', async () => {
  const { port } = await startTestServer(new GatedEngine(true));
  const peer = new DistillPeer(port);
  const wish = { output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP32' } as const;
  peer.send({ hello: { protocolVersion: 1, runId: 'test', outputs: Array(17).fill(wish) } });
  const { code, details } = await peer.status;
  assert.equal(code, GrpcStatus.INVALID_ARGUMENT);
  assert.equal(details, 'hello.outputs: 17 given, wanted at most 16');
});
