/** What a server is given: a network, limits, and somebody to tell. */
import type { EncodedTensor, WireDType } from '../../contract/encodedTensor.js';
import type { InferenceImage } from '../../contract/inference.js';
import type { EncodedOutput, OutputRequest } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import type { LimitsInput } from '../generated/cirkd/teacher/v1/Limits.js';
import type { RequestName } from './turns.js';

/**
 * What the server needs of a network, wherever it runs. The server makes one call of `infer` at a
 * time. It never calls `close`: whoever opened the engine closes it, after the server.
 */
export interface InferenceEngine {
  readonly info: TeacherInfo;
  /**
   * OUTPUT_CLASSIFIER of the contract: fp32 [classes, channels + 1], weights, then bias; null: the
   * logits can't be made of the feature so, or there is none.
   */
  readonly classifier: EncodedTensor | null;
  /**
   * All images have one size. One result per image, in order: its outputs in the order of `outputs`,
   * or an Error that concerns this image alone. A rejection concerns them all; then the server tries
   * them one by one. An error's message stays here unless it is a NonFiniteOutputError (the student
   * asks elsewhere) or a RefusedImageError (the student gives the image up).
   */
  infer(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): Promise<Array<EncodedOutput[] | Error>>;
  close(): Promise<void>;
}

/**
 * What one server takes on; the part that clients must know goes into the welcome. All are above 0 and
 * aren't checked here: the config has their defaults and bounds (docs/config.md). A stream that breaks
 * what its welcome says is ended; an image that breaks a limit of its own gets an ImageError, and its
 * stream goes on.
 */
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

/** One forward pass of the network. */
export interface BatchReport {
  /** 1, 2, … in this process. */
  readonly batch: number;
  readonly images: readonly RequestName[];
  /** Of its images. */
  readonly longestQueuedSeconds: number;
  readonly seconds: number;
}

/** What a server tells of itself: the caller turns it into metrics and log lines. None may throw. */
export interface TeacherServerHooks {
  /** Open Distill streams. */
  onStreams(count: number): void;
  /** Images waiting, over all streams, and bytes of their pixels. */
  onQueueSize(images: number, bytes: number): void;
  /** Bytes of answers being computed or not yet on a connection, over all streams. */
  onAnswerBytes(bytes: number): void;
  /** Time from arrival to the start of the batch, of one image. */
  onQueued(seconds: number): void;
  /** The network gave answers, or failed. */
  onBatch(report: BatchReport): void;
  /** One image was answered: 'OK' or the name of the gRPC code; 'CANCELLED' when nobody waited. */
  onAnswer(code: string): void;
  /** Tensor bytes handed to gRPC. */
  onSent(dtype: WireDType, bytes: number): void;
  onEvent(level: 'info' | 'warn' | 'error', message: string, fields: object): void;
}

/** Tells nobody. */
export const silentHooks: TeacherServerHooks = {
  onStreams() {},
  onQueueSize() {},
  onAnswerBytes() {},
  onQueued() {},
  onBatch() {},
  onAnswer() {},
  onSent() {},
  onEvent() {},
};
