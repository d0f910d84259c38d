/**
 * DistillResponse{tensor} as bytes, written by hand. The fields and their order are those of
 * protobufjs, so the bytes are the same (https://protobuf.dev/programming-guides/encoding/).
 *
 * gRPC asks a serialised message for its length and copies it behind a header of its own, and that
 * is the only copy of the data: what it is given here writes itself into its place.
 */
import type { TensorChunkInput } from './generated/cirkd/teacher/v1/TensorChunk.js';

const OUTPUT_NUMBER = {
  OUTPUT_UNSPECIFIED: 0,
  OUTPUT_LOGITS: 1,
  OUTPUT_EMBEDDING: 2,
  OUTPUT_FEATURE_NORM: 3,
  OUTPUT_EMBEDDING_SCALE: 4,
  OUTPUT_CLASSIFIER: 5,
} as const;

const DTYPE_NUMBER = { DTYPE_UNSPECIFIED: 0, DTYPE_FP32: 1, DTYPE_FP16: 2, DTYPE_INT8: 3 } as const;

/** A chunk as this server sends it: every field set, enums by name. */
export interface OutgoingChunk {
  readonly id: number;
  readonly attempt: number;
  readonly output: keyof typeof OUTPUT_NUMBER;
  readonly dtype: keyof typeof DTYPE_NUMBER;
  readonly shape: number[];
  readonly rowBegin: number;
  readonly rowEnd: number;
  readonly crc32c: number;
  readonly data: Buffer;
}

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const tag = (field: number, wireType: number) => (field << 3) | wireType;

/** More than the fields before the data ever take: eight varints of 10 bytes and a shape. */
const HEAD_BYTES = 128;

/**
 * The message as grpc-js takes it: a Buffer of which only `byteLength` and `copy` may be used. Its
 * own bytes are the fields before the data. Throws when the chunk wasn't made by this server (see
 * OutgoingChunk).
 */
export function encodeTensorResponse(chunk: TensorChunkInput): Buffer {
  const { data } = chunk as OutgoingChunk;
  const head = messageHead(chunk as OutgoingChunk);
  return Object.defineProperties(head, {
    byteLength: { value: head.length + data.length },
    copy: {
      value: (target: Buffer, targetStart: number) => {
        target.set(head, targetStart);
        target.set(data, targetStart + head.length);
        return head.length + data.length;
      },
    },
  });
}

/** All of the message up to the first byte of the data. */
function messageHead(chunk: OutgoingChunk): Buffer {
  const { id, attempt, output, dtype, shape, rowBegin, rowEnd, crc32c, data } = chunk;
  const fields = new Writer(Buffer.allocUnsafe(HEAD_BYTES));
  fields.varintField(1, id);
  fields.varintField(2, attempt);
  fields.varintField(3, OUTPUT_NUMBER[output]);
  fields.varintField(4, DTYPE_NUMBER[dtype]);
  fields.packedField(5, shape);
  fields.varintField(6, rowBegin);
  fields.varintField(7, rowEnd);
  fields.fixed32Field(8, crc32c);
  fields.lengthField(9, data.length);
  const chunkBytes = fields.at + data.length;
  const head = new Writer(Buffer.allocUnsafe(1 + varintBytes(chunkBytes) + fields.at));
  head.lengthField(2, chunkBytes);
  head.buffer.set(fields.buffer.subarray(0, fields.at), head.at);
  return head.buffer;
}

class Writer {
  readonly buffer: Buffer;
  at = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.at++] = rest;
  }

  varintField(field: number, value: number): void {
    this.varint(tag(field, VARINT));
    this.varint(value);
  }

  packedField(field: number, values: readonly number[]): void {
    this.lengthField(
      field,
      values.reduce((sum, value) => sum + varintBytes(value), 0),
    );
    for (const value of values) this.varint(value);
  }

  fixed32Field(field: number, value: number): void {
    this.varint(tag(field, FIXED32));
    this.at = this.buffer.writeUInt32LE(value, this.at);
  }

  lengthField(field: number, bytes: number): void {
    this.varint(tag(field, LENGTH_DELIMITED));
    this.varint(bytes);
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
