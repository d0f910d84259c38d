/**
 * A reader of the protobuf wire format, no more than bulk messages need: tags, varints, fixed32,
 * length-delimited fields as views. Source: protobuf.dev/programming-guides/encoding.
 */

/** Bytes that are no protobuf message, or hold a wire type that this reader leaves to others. */
export class WireFormatError extends Error {
  override readonly name = 'WireFormatError';
}

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const FIXED32 = 5;

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
