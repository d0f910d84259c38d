/** One image from its request to its single answer, over any number of attempts. */
import { status } from '@grpc/grpc-js';
import type { TeacherImage, TeacherReply } from '../../contract/teacher.js';
import { crc32c } from '../../wire/crc32c.js';
import { answerBytes, type ExpectedOutput } from '../codec/outputShapes.js';
import type { ImageError } from '../generated/cirkd/teacher/v1/ImageError.js';
import { blamesImage } from './errors.js';
import { withResolvers } from './promises.js';

export class ImageRequest {
  readonly image: TeacherImage;
  readonly outputs: readonly ExpectedOutput[];
  /** Of the answer while it travels: what it may hold of maxInflightBytes. */
  readonly replyBytes: number;
  readonly promise: Promise<TeacherReply>;
  /** Attempts made. */
  attempts = 0;
  /** Answers that weren't finite. */
  nonFiniteReplies = 0;
  /** Number of answers that were an error or unusable; faultCode is the last one's code. */
  faults = 0;
  /** Number of replies to all images at the time of its first fault. */
  repliesBefore: number | undefined;
  faultCode: status = status.UNKNOWN;
  /** Place in the order of requests, from 1: the image's id on the wire, in every attempt. */
  id = 0;
  /** Addresses to avoid if there are others: they failed, or their answer was unusable. */
  readonly failedAt = new Set<string>();
  settled = false;
  answeredBy: string | undefined;

  readonly #resolve: (reply: TeacherReply) => void;
  readonly #reject: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;
  #crc32c: number | undefined;

  constructor(
    image: TeacherImage,
    outputs: readonly ExpectedOutput[],
    signal?: AbortSignal,
    replyBytes = answerBytes(outputs),
  ) {
    this.image = image;
    this.outputs = outputs;
    this.#signal = signal;
    this.replyBytes = replyBytes;
    const { promise, resolve, reject } = withResolvers<TeacherReply>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Checksum of the pixels, computed once for all attempts. */
  get crc32c(): number {
    this.#crc32c ??= crc32c(this.image.rgb);
    return this.#crc32c;
  }

  /** Records a faulty answer; counts it if the image may be the cause. */
  blame(code: status, reason: ImageError['reason'] = 'ERROR_REASON_UNSPECIFIED'): void {
    if (!blamesImage(code, reason)) return;
    this.faults++;
    this.faultCode = code;
  }

  /** Calls back once if the caller's signal aborts before there is an answer. */
  onAbort(callback: (reason: unknown) => void): void {
    const signal = this.#signal;
    if (signal === undefined) return;
    this.#onAbort = () => callback(signal.reason);
    if (signal.aborted) {
      this.#onAbort();
    } else {
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  /** Returns false if the request was already settled. */
  resolve(address: string, reply: TeacherReply): boolean {
    if (!this.#settle()) return false;
    this.answeredBy = address;
    this.#resolve(reply);
    return true;
  }

  reject(error: unknown): boolean {
    if (!this.#settle()) return false;
    this.#reject(error);
    return true;
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    if (this.#onAbort !== undefined) {
      this.#signal?.removeEventListener('abort', this.#onAbort);
    }
    return true;
  }
}
