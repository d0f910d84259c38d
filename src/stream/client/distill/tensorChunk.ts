/**
 * A TensorChunk from its bytes: all of them, or its fields while the data is still to come. The data is not
 * copied.
 */
import type { WireDType } from '../../../contract/encodedTensor.js';
import type { OutputName } from '../../../contract/outputs.js';
import {
  FIXED32,
  LENGTH_DELIMITED,
  RESPONSE_BULK_FIELD,
  tag,
  VARINT,
  WireFormatError,
  WireReader,
} from '../../codec/protobufWire.js';
import { DTYPE, OUTPUT } from '../../codec/wireNames.js';

/** A TensorChunk as received; nothing is checked. */
export interface TensorChunkView {
  id: number;
  attempt: number;
  /** Undefined for an output that this version doesn't know. */
  output: OutputName | undefined;
  dtype: WireDType | undefined;
  shape: number[];
  rowBegin: number;
  rowEnd: number;
  crc32c: number;
  /** A view on the message, or on the tensor's memory if the bytes were put there as they came. */
  data: Uint8Array;
  /** The checksum of `data`, if it was computed as the bytes came. */
  receivedCrc32c?: number;
}

/** A chunk of which the fields are there. */
export interface ChunkHead {
  /** Its data is empty. */
  readonly chunk: TensorChunkView;
  /** Index in the message at which the data begins; it ends with the message. */
  readonly dataBegin: number;
  readonly dataBytes: number;
}

/** DistillResponse.tensor */
export const TENSOR_TAG = tag(2, LENGTH_DELIMITED);

const DATA_TAG = tag(RESPONSE_BULK_FIELD, LENGTH_DELIMITED);
const NO_DATA = new Uint8Array(0);

/** The contract has at most three. */
const MAX_DIMENSIONS = 16;

/**
 * The chunk that a message consists of, from the message's first bytes: if all fields before the data are in
 * them and nothing follows the data. Undefined for any other message, which then has to be read as a whole.
 */
export function readChunkHead(head: Uint8Array, messageBytes: number): ChunkHead | undefined {
  if (head[0] !== TENSOR_TAG) return undefined;
  try {
    const reader = new WireReader(head, 1);
    if (reader.varint() !== messageBytes - reader.at) return undefined;
    const chunk = emptyChunk(NO_DATA);
    for (;;) {
      const fieldTag = reader.uint32();
      if (fieldTag === DATA_TAG) {
        const dataBytes = reader.varint();
        const dataBegin = reader.at;
        return dataBytes === messageBytes - dataBegin ? { chunk, dataBegin, dataBytes } : undefined;
      }
      if (!readField(chunk, fieldTag, reader)) reader.skip(fieldTag & 7);
    }
  } catch (error) {
    // Not a message, or one with more fields than `head` has room for: whoever reads it whole will tell.
    if (error instanceof WireFormatError) return undefined;
    throw error;
  }
}

function emptyChunk(data: Uint8Array): TensorChunkView {
  return {
    ...{ id: 0, attempt: 0, output: undefined, dtype: undefined, shape: [] },
    ...{ rowBegin: 0, rowEnd: 0, crc32c: 0, data },
  };
}

/** The chunk in the body of a message; undefined if it has a group, which this reader doesn't know. */
export function readChunk(body: Uint8Array): TensorChunkView | undefined {
  const chunk = emptyChunk(body.subarray(0, 0));
  const reader = new WireReader(body);
  while (!reader.done) {
    const fieldTag = reader.uint32();
    const wireType = fieldTag & 7;
    if (wireType === 3 || wireType === 4) {
      return undefined;
    }
    if (!readField(chunk, fieldTag, reader)) {
      reader.skip(wireType);
    }
  }
  return chunk;
}

/** False for a field that isn't known, or not with this wire type. */
function readField(chunk: TensorChunkView, fieldTag: number, reader: WireReader): boolean {
  switch (fieldTag) {
    case tag(1, VARINT):
      chunk.id = reader.varint();
      return true;
    case tag(2, VARINT):
      chunk.attempt = reader.uint32();
      return true;
    case tag(3, VARINT):
      chunk.output = OUTPUT.fromNumber(reader.uint32());
      return true;
    case tag(4, VARINT):
      chunk.dtype = DTYPE.fromNumber(reader.uint32());
      return true;
    case tag(5, VARINT):
      pushDimension(chunk.shape, reader.uint32());
      return true;
    case tag(5, LENGTH_DELIMITED):
      readPacked(chunk.shape, reader.view());
      return true;
    case tag(6, VARINT):
      chunk.rowBegin = reader.uint32();
      return true;
    case tag(7, VARINT):
      chunk.rowEnd = reader.uint32();
      return true;
    case tag(8, FIXED32):
      chunk.crc32c = reader.fixed32();
      return true;
    case tag(9, LENGTH_DELIMITED):
      chunk.data = reader.view();
      return true;
    default:
      return false;
  }
}

function readPacked(into: number[], bytes: Uint8Array): void {
  const reader = new WireReader(bytes);
  while (!reader.done) {
    pushDimension(into, reader.uint32());
  }
}

function pushDimension(shape: number[], size: number): void {
  if (shape.length >= MAX_DIMENSIONS) {
    throw new WireFormatError(`shape: more than ${MAX_DIMENSIONS} dimensions`);
  }
  shape.push(size);
}
