/** What a server tells of itself: the caller turns it into metrics and log lines. */
import type { WireDType } from '../contract/encodedTensor.js';
import type { RequestName } from './work.js';

/** One forward pass of the network. */
export interface BatchReport {
  /** 1, 2, … in this process. */
  readonly batch: number;
  readonly images: readonly RequestName[];
  /** Of its images. */
  readonly longestQueuedSeconds: number;
  readonly seconds: number;
}

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
