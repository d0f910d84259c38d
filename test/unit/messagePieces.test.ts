/** Messages cut out of a call's bytes, wherever these are cut themselves: as wholes or piece by piece. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
// grpc-js' own decoder, which ours goes around.
import { StreamDecoder } from '@grpc/grpc-js/build/src/stream-decoder.js';
import { drawsFor } from '../../src/random/draws.js';
import { HEAD_BYTES, MessagePieces, type PieceSink } from '../../src/rpc/calls/messagePieces.js';

const MAX_BYTES = 100_000;
/** A message that begins with this byte is taken in pieces. */
const TAKEN = 7;

function framed(message: Buffer, flags = 0): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame[0] = flags;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

function collector(): PieceSink<string> {
  const pieces: Buffer[] = [];
  return {
    take(piece) {
      assert.ok(piece.length > 0, 'an empty piece');
      pieces.push(Buffer.from(piece));
    },
    end: () => Buffer.concat(pieces).toString('hex'),
  };
}

/** What comes out when `bytes` go in, cut at `cuts`: messages in hex and how each of them came. */
function through(bytes: Buffer, cuts: readonly number[]) {
  const heads: [number, number][] = [];
  const pieces = new MessagePieces<string>((head, messageBytes) => {
    heads.push([head.length, messageBytes]);
    return head[0] === TAKEN ? collector() : undefined;
  }, MAX_BYTES);
  const decoder = pieces.decoder(new StreamDecoder(MAX_BYTES));
  const ends = [...cuts, bytes.length];
  const messages = ends.flatMap((end, i) => decoder.write(bytes.subarray(ends[i - 1] ?? 0, end)));
  const read = messages.map((message) => {
    // As grpc-js hands it to the deserialiser.
    const body = message.subarray(5);
    const taken = pieces.taken(body);
    return taken === undefined ? { whole: body.toString('hex') } : { taken };
  });
  return { read, heads };
}

function randomMessages() {
  const draws = drawsFor(3, 'test');
  const sizes = [0, 1, 2, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 5000, 40_000];
  return Array.from({ length: 60 }, () => {
    const message = Buffer.alloc(sizes[draws.integer(sizes.length)]!);
    for (let i = 0; i < message.length; i++) message[i] = draws.integer(256);
    if (message.length > 0 && draws.integer(2) === 0) message[0] = TAKEN;
    return message;
  });
}

const wantedOf = (message: Buffer) => {
  const text = message.toString('hex');
  return message[0] === TAKEN ? { taken: text } : { whole: text };
};

test('messages keep their order and bytes, wherever the connection cuts them', () => {
  const messages = randomMessages();
  const bytes = Buffer.concat(messages.map((message) => framed(message)));
  const wanted = messages.map(wantedOf);
  const draws = drawsFor(4, 'test');
  for (const step of [1, 3, 200, 16_384, 65_536, bytes.length]) {
    const cuts: number[] = [];
    // Cuts of up to `step` bytes; byte by byte only through the first messages.
    const end = step === 1 ? 30_000 : bytes.length;
    for (let at = 0; at < end; at += 1 + draws.integer(step)) cuts.push(at);
    const { read, heads } = through(bytes, cuts);
    assert.deepEqual(read, wanted, `steps of ${step}`);
    for (const [length, messageBytes] of heads) {
      assert.ok(length === Math.min(HEAD_BYTES, messageBytes), `${length} of ${messageBytes}`);
    }
  }
});

test('compressed messages are not taken, and those beyond the limit are refused by grpc-js', () => {
  const message = Buffer.from([TAKEN, 1, 2]);
  const { read, heads } = through(framed(message, 1), []);
  assert.deepEqual([read, heads], [[{ whole: '070102' }], []]);
  const large = framed(Buffer.alloc(MAX_BYTES + 1, TAKEN)).subarray(0, 6);
  assert.throws(() => through(large, []), /larger than max \(100001 vs 100000\)/);
});

test('a message that never ends never comes', () => {
  const bytes = framed(Buffer.alloc(5000, TAKEN));
  for (const end of [3, 5, 100, 5 + HEAD_BYTES, 5004]) {
    assert.deepEqual(through(bytes.subarray(0, end), []).read, [], `${end} bytes`);
  }
});
