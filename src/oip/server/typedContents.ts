/**
 * Pixels from InferTensorContents, the form for clients that don't send raw bytes: numbers of
 * `uint_contents`, one varint each. Read without a number object per element.
 */
import {
  LENGTH_DELIMITED,
  tag,
  VARINT,
  WireFormatError,
  WireReader,
} from '../../stream/codec/protobufWire.js';
import { invalidArgument } from './modelErrors.js';

/** More come raw: a number takes up to two bytes here, and the event loop stops while they are read. */
export const MAX_TYPED_ELEMENTS = 4_194_304;

const UINT_CONTENTS = 4;

/** The data type that Triton names for each field of InferTensorContents. */
const DATATYPE_OF_FIELD: Readonly<Record<number, string>> = {
  1: 'BOOL',
  2: 'INT32',
  3: 'INT64',
  [UINT_CONTENTS]: 'UINT8',
  5: 'UINT64',
  6: 'FP32',
  7: 'FP64',
  8: 'BYTES',
};

/** An element is no byte, or the contents are of another data type. */
export class ContentsError extends Error {
  override readonly name = 'ContentsError';
  /** The data type of the field that was used in place of uint_contents. */
  readonly datatype: string | undefined;

  constructor(message: string, datatype?: string) {
    super(message);
    this.datatype = datatype;
  }
}

/**
 * The elements of uint_contents as bytes: `wanted` at most, `count` says how many there are. Throws
 * ContentsError, and RpcError INVALID_ARGUMENT for bytes that are no InferTensorContents.
 */
export function typedBytes(contents: Uint8Array, wanted: number): Uint8Array {
  const pixels = new ByteElements(wanted);
  try {
    const reader = new WireReader(contents);
    while (!reader.done) {
      const fieldTag = reader.uint32();
      const field = Math.floor(fieldTag / 8);
      if (fieldTag === tag(UINT_CONTENTS, LENGTH_DELIMITED)) pixels.addPacked(reader.view());
      else if (fieldTag === tag(UINT_CONTENTS, VARINT)) pixels.add(reader.uint32());
      else skipOther(reader, field, fieldTag & 7);
    }
  } catch (error) {
    if (error instanceof WireFormatError) throw invalidArgument(`contents: ${error.message}`);
    throw error;
  }
  return pixels.taken();
}

function skipOther(reader: WireReader, field: number, wireType: number): void {
  const before = reader.at;
  reader.skip(wireType);
  const datatype = DATATYPE_OF_FIELD[field];
  // An empty list of another type is none.
  const isEmpty = wireType === LENGTH_DELIMITED && reader.at === before + 1;
  if (datatype === undefined || isEmpty) return;
  throw new ContentsError(`contents of type ${datatype}`, datatype);
}

class ByteElements {
  readonly #bytes: Uint8Array;
  #count = 0;

  constructor(wanted: number) {
    this.#bytes = new Uint8Array(wanted);
  }

  add(value: number): void {
    if (value > 255) {
      throw new ContentsError(`uint_contents: ${value} given, wanted 0 to 255`);
    }
    if (this.#count === this.#bytes.length) {
      throw new ContentsError(`uint_contents: more than ${this.#count} elements given`);
    }
    this.#bytes[this.#count++] = value;
  }

  addPacked(packed: Uint8Array): void {
    const reader = new WireReader(packed);
    while (!reader.done) this.add(reader.uint32());
  }

  taken(): Uint8Array {
    return this.#bytes.subarray(0, this.#count);
  }
}
