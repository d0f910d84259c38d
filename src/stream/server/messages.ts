/**
 * The messages that a server reads and writes. Tensors, nearly all of the traffic, are encoded by hand
 * with the fields and order of protobufjs, so the bytes are the same. Everything else goes through
 * protobufjs.
 */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { asSerialized } from '../../rpc/grpcInternals.js';
import { PartedMessage } from '../../rpc/calls/partedMessage.js';
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

/** More than the fields before the data ever need: eight varints of 10 bytes and a shape. */
const HEAD_BYTES = 128;

/** The fields before the data, and the data. Throws if this server didn't make the chunk (see OutgoingChunk). */
export function encodeTensorResponse(chunk: TensorChunkInput): PartedMessage {
  const { data } = chunk as OutgoingChunk;
  return new PartedMessage(messageHead(chunk as OutgoingChunk), [data]);
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

/** A request as the server reads it, or the reason why the bytes aren't one. */
export type IncomingRequest = DistillRequest | { readonly malformed: string };

/**
 * The definition for a server. Tensors are written by hand: the same bytes,
 * without a copy of the data. Bytes that aren't
 * a DistillRequest, or cost too much to decode, arrive as `malformed`, so that the stream can end
 * with our own status.
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
          ? asSerialized(encodeTensorResponse(response.tensor))
          : Distill.responseSerialize(response);
      },
    },
  };
}
