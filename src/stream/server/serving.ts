/** The parts that a server is given: a network, limits and hooks. */
import type { EncodedTensor, WireDType } from '../../contract/encodedTensor.js';
import type { InferenceImage } from '../../contract/inference.js';
import type { EncodedOutput, OutputRequest } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import type { LimitsInput } from '../generated/cirkd/teacher/v1/Limits.js';
import type { RequestName } from './turns.js';

/**
 * A network as the server uses it, wherever it runs. The server calls `infer` once at a time. It
 * never calls `close`: the code that opened the engine closes it, after the server.
 */
export interface InferenceEngine {
  readonly info: TeacherInfo;
  /**
   * OUTPUT_CLASSIFIER of the contract: fp32 [classes, channels + 1], weights, then bias; null: there is
   * no feature, or the logits can't be computed from it that way.
   */
  readonly classifier: EncodedTensor | null;
  /**
   * Pixels up to which images gain by sharing a call; more would only delay the first one's answer. One image may have more.
   * Absent: any number.
   */
  readonly batchPixels?: number | undefined;
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
 * The limits of one server; the welcome tells clients those that concern them. All are above 0 and
 * aren't checked here: the config has their defaults and bounds (docs/config.md). A stream that breaks
 * the welcome's limits is ended; an image that breaks a limit on single images gets an ImageError, and
 * its stream goes on.
 */
export interface ServerLimits {
  /** Waiting images, over all streams. */
  readonly maxQueueImages: number;
  /** Bytes of the waiting images' pixels. */
  readonly maxQueueBytes: number;
  /** height * width of one image. */
  readonly maxImagePixels: number;
  readonly maxStreams: number;
  /** Unanswered images of one stream. */
  readonly maxInflightImages: number;
  /** gRPC receive limit. */
  readonly maxMessageBytes: number;
  /** Bytes of Image.rgb that a stream may send before it gets more credit. */
  readonly uploadCreditBytes: number;
  /** Largest TensorChunk.data that is sent. */
  readonly chunkBytes: number;
  /** Bytes of answers being computed or waiting to be sent, over all streams: see answerRoom.ts. */
  readonly maxAnswerBytes: number;
  /** Limit from an image's arrival to the last byte of its answer; the image may name a shorter one. */
  readonly requestTimeoutMs: number;
  /** A stream that hasn't said hello within this time is ended. */
  readonly helloTimeoutMs: number;
  /** An ended stream whose client doesn't read the rest is cut after this time. */
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
  /** The longest time that one of its images waited in the queue. */
  readonly longestQueuedSeconds: number;
  readonly seconds: number;
}

/** The events of a server, which the caller turns into metrics and log lines. No hook may throw. */
export interface TeacherServerHooks {
  /** Open Distill streams. */
  onStreams(count: number): void;
  /** Waiting images, over all streams, and bytes of their pixels. */
  onQueueSize(images: number, bytes: number): void;
  /** Bytes of answers being computed or not yet on a connection, over all streams. */
  onAnswerBytes(bytes: number): void;
  /** One image's time from arrival to the start of its batch. */
  onQueued(seconds: number): void;
  /** A forward pass has ended, well or not. */
  onBatch(report: BatchReport): void;
  /** One image was answered: 'OK' or the gRPC code's name; 'CANCELLED' if it was no longer wanted. */
  onAnswer(code: string): void;
  /** Tensor bytes handed to gRPC. */
  onSent(dtype: WireDType, bytes: number): void;
  onEvent(level: 'info' | 'warn' | 'error', message: string, fields: object): void;
}

/** Hooks that do nothing. */
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
