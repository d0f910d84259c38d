/**
 * What a server reads and writes. Tensors, nearly all of the traffic, are laid out by hand: the fields
 * and their order are those of protobufjs, so the bytes are the same. Everything else goes through
 * protobufjs.
 */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { messageOfParts } from '../../rpc/grpcInternals.js';
import {
  checkMessageBounds,
  REQUEST_BULK_FIELD,
  varintBytes,
  WireWriter,
} from '../codec/protobufWire.js';
import { TeacherService } from '../codec/teacherService.js';
import { DTYPE, OUTPUT } from '../codec/wireNames.js';
import type { DistillRequest } from '../generated/cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponseInput } from '../generated/cirkd/teacher/v1/DistillResponse.js';
import type { TeacherServiceDefinition } from '../generated/cirkd/teacher/v1/TeacherService.js';
import type { TensorChunkInput } from '../generated/cirkd/teacher/v1/TensorChunk.js';

/** A chunk as this server sends it: every field set, enums by name. */
export interface OutgoingChunk {
  readonly id: number;
  readonly attempt: number;
  readonly output: keyof typeof OUTPUT.number;
  readonly dtype: keyof typeof DTYPE.number;
  readonly shape: number[];
  readonly rowBegin: number;
  readonly rowEnd: number;
  readonly crc32c: number;
  readonly data: Buffer;
}

/** More than the fields before the data ever take: eight varints of 10 bytes and a shape. */
const HEAD_BYTES = 128;

/**
 * The message as grpc-js takes it: a Buffer of which only `byteLength` and `copy` may be used. Its
 * own bytes are the fields before the data. Throws when the chunk wasn't made by this server (see
 * OutgoingChunk).
 */
export function encodeTensorResponse(chunk: TensorChunkInput): Buffer {
  const { data } = chunk as OutgoingChunk;
  return messageOfParts(messageHead(chunk as OutgoingChunk), data);
}

/** All of the message up to the first byte of the data. */
function messageHead(chunk: OutgoingChunk): Buffer {
  const { id, attempt, output, dtype, shape, rowBegin, rowEnd, crc32c, data } = chunk;
  const fields = new WireWriter(HEAD_BYTES);
  fields.varintField(1, id);
  fields.varintField(2, attempt);
  fields.varintField(3, OUTPUT.number[output]);
  fields.varintField(4, DTYPE.number[dtype]);
  fields.packedField(5, shape);
  fields.varintField(6, rowBegin);
  fields.varintField(7, rowEnd);
  fields.fixed32Field(8, crc32c);
  fields.lengthField(9, data.length);
  const chunkBytes = fields.at + data.length;
  const head = new WireWriter(1 + varintBytes(chunkBytes) + fields.at);
  head.lengthField(2, chunkBytes);
  head.bytes(fields.written);
  return head.buffer;
}

/** What a server reads: a request, or why the bytes were none. */
export type IncomingRequest = DistillRequest | { readonly malformed: string };

/**
 * The definition for a server. Tensors are written by hand (same bytes, one copy), and bytes that
 * are no DistillRequest, or cost too much to decode, arrive as `malformed`, so that the stream can
 * end with a status of ours.
 */
export function teacherServerDefinition(): ServiceDefinition {
  const plain: TeacherServiceDefinition = TeacherService.service;
  const { Distill } = plain;
  return {
    ...plain,
    Distill: {
      ...Distill,
      requestDeserialize(bytes: Buffer): IncomingRequest {
        try {
          checkMessageBounds(bytes, REQUEST_BULK_FIELD);
          return Distill.requestDeserialize(bytes);
        } catch (error) {
          return { malformed: (error as Error).message };
        }
      },
      responseSerialize(response: DistillResponseInput): Buffer {
        return response.tensor
          ? encodeTensorResponse(response.tensor)
          : Distill.responseSerialize(response);
      },
    },
  };
}
