/**
 * One teacher of a fleet: a stream to it, opened anew for as long as the run lives, and the images
 * that are there. What fails here goes back to the owner, which asks again.
 */
import { status } from '@grpc/grpc-js';
import { ContractMismatchError } from '../distill/teacher.js';
import { Attempts } from './clientAttempts.js';
import { ImageRefusedError, readEnd, requeueReason, statusName } from './clientErrors.js';
import { Handshake, HandshakeError } from './clientHandshake.js';
import { TeacherHealth } from './clientHealth.js';
import type { LinkOwner } from './clientLinkOwner.js';
import type { ClientSettings, RequeueReason, TeacherState } from './clientOptions.js';
import type { ImageRequest } from './clientRequest.js';
import { TeacherRoom } from './clientRoom.js';
import { DistillStream } from './clientStream.js';
import type { ImageError } from './generated/cirkd/teacher/v1/ImageError.js';
import { ChunkError } from './replyAssembly.js';
import type { TeacherMessage, TensorChunkView } from './replyDecoder.js';

/** A teacher that is there says welcome sooner than this. */
const WELCOME_TIMEOUT_MS = 10_000;

/** How long a closing stream may take to end by itself. */
const CLOSE_TIMEOUT_MS = 500;

/** setTimeout takes no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class TeacherLink {
  readonly address: string;
  /** Why the teacher doesn't fit; undefined when it does, or nobody knows yet. */
  refusal: ContractMismatchError | undefined;
  lastError = 'no answer yet';

  readonly #settings: ClientSettings;
  readonly #windowBytes: number;
  readonly #owner: LinkOwner;
  readonly #health: TeacherHealth;
  readonly #attempts: Attempts;
  #state: TeacherState['state'] = 'closed';
  #stream: DistillStream | undefined;
  #handshake: Handshake;
  /** Undefined before the first welcome. */
  #room: TeacherRoom | undefined;
  /** Of the state: welcome deadline, reconnect, or the end of a drain's grace. */
  #timer: NodeJS.Timeout | undefined;
  #onClosed: (() => void) | undefined;

  constructor(address: string, windowBytes: number, settings: ClientSettings, owner: LinkOwner) {
    this.address = address;
    this.#windowBytes = windowBytes;
    this.#settings = settings;
    this.#owner = owner;
    this.#handshake = new Handshake(address, settings, owner);
    this.#health = new TeacherHealth(settings);
    this.#attempts = new Attempts(settings.requestTimeoutMs, (id) => this.#timedOut(id));
  }

  /** Takes images now, or as soon as it has room. */
  get available(): boolean {
    return this.#state === 'ready' && !this.#health.paused;
  }

  /** Unanswered images. */
  get load(): number {
    return this.#attempts.size;
  }

  /** Why this teacher will never take such an image; undefined when it will. */
  refusalOf({ image }: ImageRequest): string | undefined {
    return this.#room?.refusalOf(image);
  }

  hasRoom({ image }: ImageRequest): boolean {
    if (!this.available || !this.#room?.holds(image)) return false;
    const limit = Math.min(this.#health.windowImages, this.#room.maxInflightImages);
    return this.#attempts.size < limit;
  }

  connect(): void {
    this.#enter('connecting', '');
    this.#handshake = new Handshake(this.address, this.#settings, this.#owner);
    const timeoutMs = Math.min(WELCOME_TIMEOUT_MS, this.#settings.requestTimeoutMs);
    this.#timer = setTimeout(() => {
      this.#ended(status.DEADLINE_EXCEEDED, `no welcome within ${timeoutMs} ms`);
    }, timeoutMs);
    this.#stream = new DistillStream(this.address, this.#windowBytes, this.#settings, {
      onMessage: (message) => this.#receive(message),
      onEnd: (code, details) => this.#ended(code, details),
    });
  }

  /** Sends an image; call only when there is room. */
  take(request: ImageRequest): void {
    const { image } = request;
    const { id, number } = this.#attempts.open(request);
    this.#room?.spend(image);
    this.#stream!.send({
      ...image,
      id,
      attempt: number,
      timeoutMs: this.#settings.requestTimeoutMs,
      crc32c: request.crc32c,
    });
  }

  /** Forgets an image; its answer may still arrive and is then ignored. */
  drop(request: ImageRequest): void {
    const attempt = this.#attempts.of(request);
    if (attempt === undefined) return;
    this.#attempts.close(attempt.id);
    this.#stream?.cancel(attempt.id);
    this.#finishDrain();
  }

  /** Ends the stream. The owner has settled every request before. */
  close(): Promise<void> {
    for (const { id } of this.#attempts.closeAll()) this.#stream?.cancel(id);
    const stream = this.#stream;
    const waiting = this.#state === 'ready' || this.#state === 'draining';
    this.#enter('closed', '');
    if (stream === undefined || !waiting) {
      stream?.destroy();
      return Promise.resolve();
    }
    stream.finish();
    return new Promise((resolve) => {
      this.#timer = setTimeout(() => {
        stream.destroy();
        resolve();
      }, CLOSE_TIMEOUT_MS);
      this.#onClosed = () => {
        clearTimeout(this.#timer);
        resolve();
      };
    });
  }

  #receive(message: TeacherMessage): void {
    if (this.#state === 'closed' || message.kind === 'unknown') return;
    if (this.#state === 'connecting') {
      this.#greet(message);
      return;
    }
    switch (message.kind) {
      case 'welcome':
        this.#ended(status.INTERNAL, `message: welcome while ${this.#state}`);
        return;
      case 'tensor':
        this.#chunk(message.chunk);
        return;
      case 'error':
        this.#imageError(message.error);
        return;
      case 'credit':
        this.#room?.grant(message.bytes);
        this.#owner.onChange(this);
        return;
      case 'draining':
        this.#drain(message.graceMs);
        return;
    }
  }

  #greet(message: TeacherMessage): void {
    try {
      const agreement = this.#handshake.receive(message);
      if (agreement === undefined) return;
      this.#room = new TeacherRoom(this.address, agreement);
      this.refusal = undefined;
      this.#enter('ready', agreement.info.digest);
    } catch (error) {
      if (error instanceof ContractMismatchError) this.#refuse(error);
      else if (error instanceof HandshakeError || error instanceof ChunkError) {
        this.#ended(status.INTERNAL, `message: ${error.message}`);
      } else throw error;
      return;
    }
    this.#owner.onChange(this);
  }

  #refuse(error: ContractMismatchError): void {
    this.refusal = error;
    this.lastError = error.message;
    this.#stream?.destroy();
    this.#enter('refused', error.message);
    this.#timer = setTimeout(() => this.connect(), this.#health.refused());
    this.#owner.onChange(this);
  }

  #chunk(chunk: TensorChunkView): void {
    const attempt = this.#attempts.get(chunk.id, chunk.attempt);
    // Late, cancelled or doubled.
    if (attempt === undefined) return;
    try {
      if (!attempt.assembly.accept(chunk)) return;
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      this.#stream?.cancel(chunk.id);
      attempt.request.blame(status.DATA_LOSS);
      this.#failed(chunk.id, error.reason, error.message, false);
      return;
    }
    this.#attempts.close(chunk.id);
    this.#health.succeeded();
    this.#owner.onReply(this, attempt.request, attempt.assembly.reply());
    this.#finishDrain();
  }

  #imageError(error: ImageError): void {
    const attempt = this.#attempts.get(error.id, error.attempt);
    if (attempt === undefined) return;
    const words = `${statusName(error.code)}: ${error.message}`;
    if (error.retryable) {
      attempt.request.blame(error.code, error.reason);
      this.#failed(error.id, requeueReason(error), words, true);
      return;
    }
    this.#attempts.close(error.id);
    const message = `teacher ${this.address} refused image ${attempt.request.image.sample}: ${words}`;
    this.#owner.onRefused(this, attempt.request, new ImageRefusedError(error.code, message));
    this.#finishDrain();
  }

  #timedOut(id: number): void {
    this.#stream?.cancel(id);
    const { requestTimeoutMs } = this.#settings;
    this.#failed(id, 'timeout', `no whole answer within ${requestTimeoutMs} ms`, false);
  }

  /**
   * One attempt came to nothing: the teacher is left alone for a while. A teacher that says itself
   * what is wrong is alive, and the stream stays; silence and rubbish end it. Errors and time-outs
   * of one moment count as one failure, rubbish counts each.
   */
  #failed(id: number, reason: RequeueReason, detail: string, said: boolean): void {
    const attempt = this.#attempts.close(id);
    if (attempt === undefined) return;
    this.lastError = `${reason}: ${detail}`;
    const late = reason === 'timeout';
    if (this.#state === 'ready' && !((said || late) && this.#health.paused)) {
      const pauseMs = late ? this.#health.timedOut() : this.#health.failed();
      this.#health.pause(pauseMs, () => this.#owner.onChange(this));
    }
    this.#owner.onFailed(this, attempt.request, reason, detail);
    if (!said && this.#health.sick && this.#state === 'ready') {
      this.#ended(status.ABORTED, `given up after failures in a row, the last: ${this.lastError}`);
    } else {
      this.#finishDrain();
    }
  }

  #drain(graceMs: number): void {
    if (this.#state !== 'ready') return;
    this.#enter('draining', `for ${graceMs} ms`);
    this.#timer = setTimeout(
      () => {
        this.#ended(status.UNAVAILABLE, `drained for ${graceMs} ms`);
      },
      Math.min(graceMs, MAX_TIMER_MS),
    );
    this.#finishDrain();
  }

  /** A draining teacher that owes nothing is left. */
  #finishDrain(): void {
    if (this.#state === 'draining' && this.#attempts.size === 0) this.#stream?.finish();
  }

  /** The stream is over, whoever ended it: what was there is asked for again, then reconnect. */
  #ended(code: status, details: string): void {
    this.#stream?.destroy();
    this.#stream = undefined;
    if (this.#state === 'closed') {
      this.#onClosed?.();
      return;
    }
    const { words, refusal } = readEnd(code, details, this.#state === 'connecting');
    if (refusal !== undefined) {
      this.#refuse(new ContractMismatchError(`teacher ${this.address} ${refusal}`));
      return;
    }
    const reason = this.#state === 'draining' ? 'draining' : 'stream';
    this.lastError = words;
    this.#enter('backoff', words);
    this.#timer = setTimeout(() => this.connect(), this.#health.failed());
    for (const { request } of this.#attempts.closeAll()) {
      this.#owner.onFailed(this, request, reason, words);
    }
  }

  #enter(state: TeacherState['state'], detail: string): void {
    clearTimeout(this.#timer);
    this.#health.resume();
    this.#state = state;
    this.#settings.onTeacher?.({ address: this.address, state, detail });
  }
}
