/** What one server takes on; the part that clients must know goes into the welcome. */
import type { LimitsInput } from './generated/cirkd/teacher/v1/Limits.js';

export interface ServerLimits {
  /** Images that wait, over all streams. */
  readonly maxQueueImages: number;
  /** Their pixels. */
  readonly maxQueueBytes: number;
  /** height * width of one image. */
  readonly maxImagePixels: number;
  readonly maxStreams: number;
  /** Unanswered images of one stream. */
  readonly maxInflightImages: number;
  /** gRPC receive limit. */
  readonly maxMessageBytes: number;
  /** Bytes of Image.rgb that a stream may send before it gets new credit. */
  readonly uploadCreditBytes: number;
  /** Largest TensorChunk.data that is sent. */
  readonly chunkBytes: number;
  /** Answers that are being computed or wait to be sent, over all streams: see answerRoom.ts. */
  readonly maxAnswerBytes: number;
  /** Of any image, from arrival to the last byte of the answer; it may name a shorter one. */
  readonly requestTimeoutMs: number;
  /** A stream that hasn't said hello by then is ended. */
  readonly helloTimeoutMs: number;
  /** A stream that has ended, but whose client doesn't take what is left of it, is cut after. */
  readonly closeGraceMs: number;
}

export const MAX_RUN_ID_BYTES = 128;

export function limitsToWire(limits: ServerLimits): LimitsInput {
  return {
    maxImagePixels: limits.maxImagePixels,
    maxInflightImages: limits.maxInflightImages,
    maxMessageBytes: limits.maxMessageBytes,
    maxRunIdBytes: MAX_RUN_ID_BYTES,
    defaultTimeoutMs: limits.requestTimeoutMs,
    maxChunkBytes: limits.chunkBytes,
  };
}
