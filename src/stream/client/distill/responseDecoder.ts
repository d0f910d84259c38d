/**
 * DistillResponse from bytes. Tensor chunks are nearly all of the traffic: they are read by hand,
 * without copying their data. Everything else, and any chunk laid out in an unusual way, goes
 * through protobufjs.
 */
import { checkMessageBounds, RESPONSE_BULK_FIELD, WireReader } from '../../codec/protobufWire.js';
import { TeacherService } from '../../codec/teacherService.js';
import { DTYPE, OUTPUT } from '../../codec/wireNames.js';
import type { DistillResponse } from '../../generated/cirkd/teacher/v1/DistillResponse.js';
import type { ImageError } from '../../generated/cirkd/teacher/v1/ImageError.js';
import type { Welcome } from '../../generated/cirkd/teacher/v1/Welcome.js';
import { readChunk, TENSOR_TAG, type TensorChunkView } from './tensorChunk.js';

export type TeacherMessage =
  | { readonly kind: 'tensor'; readonly chunk: TensorChunkView }
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  | { readonly kind: 'error'; readonly error: ImageError }
  | { readonly kind: 'credit'; readonly bytes: number }
  | { readonly kind: 'draining'; readonly graceMs: number }
  /** A member that this version doesn't know: to be ignored. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed'; readonly message: string };

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
