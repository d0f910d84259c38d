/**
 * The part of the protobuf wire format that bulk messages need: a reader and a writer of tags, varints,
 * fixed32 and length-delimited fields, and a bound on the cost of decoding a message.
 * Source: protobuf.dev/programming-guides/encoding.
 */

/** Bytes that aren't a protobuf message, or have a wire type that this reader doesn't support. */
export class WireFormatError extends Error {
  override readonly name = 'WireFormatError';
}

export const VARINT = 0;
const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const FIXED32 = 5;

/** The tag that a field begins with. */
export function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, begin = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = begin;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** Index of the next byte. */
  get at(): number {
    return this.#at;
  }

  /** Exact up to 2^53 - 1; larger values come out rounded. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      if (this.#at >= this.#end) {
        throw new WireFormatError('varint: ends beyond the message');
      }
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        return value;
      }
      scale *= 128;
    }
    throw new WireFormatError('varint: longer than 10 bytes');
  }

  /** A varint's low 32 bits, as protobuf reads a longer one into a uint32. */
  uint32(): number {
    return this.varint() % 0x100000000;
  }

  fixed32(): number {
    const at = this.#advance(4);
    const bytes = this.#bytes;
    return (
      (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
    );
  }

  /** A view on a length-delimited field. */
  view(): Uint8Array {
    const length = this.varint();
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  skip(wireType: number): void {
    switch (wireType) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        this.#advance(8);
        return;
      case LENGTH_DELIMITED:
        this.#advance(this.varint());
        return;
      case FIXED32:
        this.#advance(4);
        return;
      default:
        throw new WireFormatError(`wire type: ${wireType} given, wanted 0, 1, 2 or 5`);
    }
  }

  #advance(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) {
      throw new WireFormatError(`field: ${length} bytes announced, ${this.#end - at} left`);
    }
    this.#at = at + length;
    return at;
  }
}

/** Writes into a buffer, which must be large enough; `at` is the end of the written part. */
export class WireWriter {
  readonly buffer: Buffer;
  at = 0;

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafe(bytes);
  }

  /** A view on the bytes written so far. */
  get written(): Buffer {
    return this.buffer.subarray(0, this.at);
  }

  /** @param value >= 0; exact up to 2^53 - 1, as a bigint up to 2^64 - 1 */
  varint(value: number | bigint): void {
    let rest = value;
    for (; typeof rest === 'bigint' && rest > 0x7fn; rest >>= 7n) {
      this.buffer[this.at++] = Number(rest & 0x7fn) | 0x80;
    }
    for (rest = Number(rest); rest > 0x7f; rest = Math.floor(rest / 0x80)) {
      this.buffer[this.at++] = (rest % 0x80) | 0x80;
    }
    this.buffer[this.at++] = rest;
  }

  varintField(field: number, value: number | bigint): void {
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

  bytesField(field: number, bytes: Uint8Array): void {
    this.lengthField(field, bytes.length);
    this.bytes(bytes);
  }

  /** A field's tag and length; its bytes come next. */
  lengthField(field: number, bytes: number): void {
    this.varint(tag(field, LENGTH_DELIMITED));
    this.varint(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }
}

/** Bytes that `value` takes as a varint. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Limit on a message's bytes outside the contents of its bulk field. */
const MAX_PLAIN_BYTES = 65_536;

/** Later versions add a few fields, not hundreds. */
const MAX_BULK_FIELDS = 256;

/** DistillRequest.image and DistillResponse.tensor have the same number. */
const BULK_MEMBER_TAG = tag(2, LENGTH_DELIMITED);

/** Image.rgb */
export const REQUEST_BULK_FIELD = 8;
/** TensorChunk.data */
export const RESPONSE_BULK_FIELD = 9;

/**
 * Bounds the cost of decoding a message before it is decoded. Two bytes can become an object, so a
 * message of the largest size could block the event loop for seconds. Pixels and tensor data become
 * views and cost nothing, so only they may make a message large.
 *
 * Throws WireFormatError for a message over MAX_PLAIN_BYTES that isn't exactly one image (or
 * tensor) with its field `bulkField`, of type bytes, holding all but MAX_PLAIN_BYTES.
 */
export function checkMessageBounds(bytes: Uint8Array, bulkField: number): void {
  if (bytes.length <= MAX_PLAIN_BYTES) return;
  const outer = new WireReader(bytes, 1);
  if (bytes[0] !== BULK_MEMBER_TAG) throw tooLarge(bytes.length);
  const body = outer.view();
  if (!outer.done) throw tooLarge(bytes.length);
  const bulkTag = tag(bulkField, LENGTH_DELIMITED);
  const reader = new WireReader(body);
  let plainBytes = body.length;
  for (let fields = 1; !reader.done; fields++) {
    if (fields > MAX_BULK_FIELDS) {
      throw new WireFormatError(`message: more than ${MAX_BULK_FIELDS} fields in field 2`);
    }
    const fieldTag = reader.uint32();
    if (fieldTag === bulkTag) plainBytes -= reader.view().length;
    else reader.skip(fieldTag & 7);
  }
  if (plainBytes > MAX_PLAIN_BYTES) throw tooLarge(plainBytes);
}

function tooLarge(bytes: number): WireFormatError {
  return new WireFormatError(
    `message: ${bytes} bytes besides pixels or tensor data given, wanted at most ${MAX_PLAIN_BYTES}`,
  );
}
