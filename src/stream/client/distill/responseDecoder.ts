/**
 * DistillResponse from bytes. Tensor chunks are nearly all of the traffic: they are read by hand,
 * without copying their data. Everything else, and any chunk laid out in an unusual way, goes
 * through protobufjs.
 */
import type { WireDType } from '../../../contract/encodedTensor.js';
import type { OutputName } from '../../../contract/outputs.js';
import {
  checkMessageBounds,
  FIXED32,
  LENGTH_DELIMITED,
  RESPONSE_BULK_FIELD,
  tag,
  VARINT,
  WireFormatError,
  WireReader,
} from '../../codec/protobufWire.js';
import { TeacherService } from '../../codec/teacherService.js';
import { DTYPE, OUTPUT } from '../../codec/wireNames.js';
import type { DistillResponse } from '../../generated/cirkd/teacher/v1/DistillResponse.js';
import type { ImageError } from '../../generated/cirkd/teacher/v1/ImageError.js';
import type { Welcome } from '../../generated/cirkd/teacher/v1/Welcome.js';

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
  /** A view on the message. */
  data: Uint8Array;
}

export type TeacherMessage =
  | { readonly kind: 'tensor'; readonly chunk: TensorChunkView }
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  | { readonly kind: 'error'; readonly error: ImageError }
  | { readonly kind: 'credit'; readonly bytes: number }
  | { readonly kind: 'draining'; readonly graceMs: number }
  /** A member that this version doesn't know: to be ignored. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed'; readonly message: string };

const TENSOR_TAG = tag(2, LENGTH_DELIMITED);

/** The contract has at most three. */
const MAX_DIMENSIONS = 16;

const { responseDeserialize } = TeacherService.service.Distill;

/** Never throws: bytes that aren't a message are returned as `malformed`. */
export function decodeResponse(bytes: Buffer): TeacherMessage {
  try {
    checkMessageBounds(bytes, RESPONSE_BULK_FIELD);
    const chunk = bytes[0] === TENSOR_TAG ? readWholeChunk(bytes) : undefined;
    return chunk ? { kind: 'tensor', chunk } : fromProto(responseDeserialize(bytes));
  } catch (error) {
    return { kind: 'malformed', message: (error as Error).message };
  }
}

/** The chunk, if it makes up the whole message and has the usual layout. */
function readWholeChunk(bytes: Uint8Array): TensorChunkView | undefined {
  const reader = new WireReader(bytes, 1);
  const body = reader.view();
  return reader.done ? readChunk(body) : undefined;
}

function readChunk(body: Uint8Array): TensorChunkView | undefined {
  const chunk: TensorChunkView = {
    id: 0,
    attempt: 0,
    output: undefined,
    dtype: undefined,
    shape: [],
    rowBegin: 0,
    rowEnd: 0,
    crc32c: 0,
    data: body.subarray(0, 0),
  };
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

function fromProto(response: DistillResponse): TeacherMessage {
  switch (response.message) {
    case 'welcome':
      return { kind: 'welcome', welcome: response.welcome! };
    case 'error':
      return { kind: 'error', error: response.error! };
    case 'creditBytes':
      return { kind: 'credit', bytes: response.creditBytes! };
    case 'draining':
      return { kind: 'draining', graceMs: response.draining!.graceMs };
    case 'tensor': {
      const tensor = response.tensor!;
      return {
        kind: 'tensor',
        chunk: {
          ...tensor,
          output: OUTPUT.fromWire(tensor.output),
          dtype: DTYPE.fromWire(tensor.dtype),
        },
      };
    }
    default:
      return { kind: 'unknown' };
  }
}
