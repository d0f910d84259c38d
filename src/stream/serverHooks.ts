/** What a server tells of itself: the caller turns it into metrics and log lines. */
import type { WireDType } from '../wire/encodedTensor.js';

export interface TeacherServerHooks {
  /** Open Distill streams. */
  onStreams(count: number): void;
  /** Images waiting, over all streams. */
  onQueueSize(images: number): void;
  /** Time from arrival to the start of the batch, of one image. */
  onQueued(seconds: number): void;
  /** One batch went through the network. */
  onBatch(images: number, seconds: number): void;
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
  onQueued() {},
  onBatch() {},
  onAnswer() {},
  onSent() {},
  onEvent() {},
};
