/**
 * One teacher of a fleet: a stream to it, opened anew for as long as the fleet has it, and the images
 * that are there. What fails here goes back to the owner, which asks again.
 */
import { status } from '@grpc/grpc-js';
import { ContractMismatchError, type TeacherReply } from '../contract/teacher.js';
import type { Endpoint } from '../rpc/target.js';
import { type ImageRefusedError, readEnd } from './clientErrors.js';
import { ImageExchange } from './clientExchange.js';
import { type Admission, Handshake, HandshakeError } from './clientHandshake.js';
import { TeacherHealth } from './clientHealth.js';
import type { ClientSettings, RequeueReason, TeacherState } from './clientOptions.js';
import { TeacherPace } from './clientPace.js';
import type { ImageRequest } from './clientRequest.js';
import { TeacherRoom } from './clientRoom.js';
import { DistillStream } from './clientStream.js';
import { ChunkError } from './replyAssembly.js';
import type { TeacherMessage } from './replyDecoder.js';

/** A teacher that is there says welcome sooner than this. */
const WELCOME_TIMEOUT_MS = 10_000;

/** How long a closing stream may take to end by itself. */
const CLOSE_TIMEOUT_MS = 500;

/** setTimeout takes no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a link tells the fleet that it belongs to. */
export interface LinkOwner extends Admission {
  /** The whole answer came. */
  onReply(link: TeacherLink, request: ImageRequest, reply: TeacherReply): void;
  /** Asking again is no use. */
  onRefused(link: TeacherLink, request: ImageRequest, error: ImageRefusedError): void;
  /** To be asked again. */
  onFailed(link: TeacherLink, request: ImageRequest, reason: RequeueReason, detail: string): void;
  /** A stream that was open has ended; it will be tried again. */
  onLost(link: TeacherLink): void;
  /** Told to leave, it owes nothing any more. */
  onLeft(link: TeacherLink): void;
  /** The teacher may take more than before, or became ready, or was refused. */
  onChange(link: TeacherLink): void;
}

export class TeacherLink {
  readonly address: string;
  /** Why the teacher doesn't fit; undefined when it does, or nobody knows yet. */
  refusal: ContractMismatchError | undefined;
  lastError = 'no answer yet';

  readonly #endpoint: Endpoint;
  readonly #settings: ClientSettings;
  readonly #owner: LinkOwner;
  readonly #health: TeacherHealth;
  readonly #exchange: ImageExchange;
  readonly #pace = new TeacherPace();
  #state: TeacherState['state'] = 'closed';
  #stream: DistillStream | undefined;
  #handshake: Handshake;
  /** Undefined before the first welcome. */
  #room: TeacherRoom | undefined;
  /** Of the state: welcome deadline, reconnect, or the end of a drain's grace. */
  #timer: NodeJS.Timeout | undefined;
  #onClosed: (() => void) | undefined;
  #isLeft = false;

  constructor(endpoint: Endpoint, settings: ClientSettings, owner: LinkOwner) {
    this.address = endpoint.address;
    this.#endpoint = endpoint;
    this.#settings = settings;
    this.#owner = owner;
    this.#handshake = new Handshake(this.address, settings, owner);
    this.#health = new TeacherHealth(settings);
    this.#exchange = new ImageExchange(this.address, settings, {
      onAnswered: (request, reply) => {
        this.#pace.answered();
        this.#health.succeeded();
        this.#owner.onReply(this, request, reply);
        this.#finishIfDone();
      },
      onRefused: (request, error) => {
        this.#owner.onRefused(this, request, error);
        this.#finishIfDone();
      },
      onFailed: (...failure) => this.#failed(...failure),
    });
  }

  /** Takes images now, or as soon as it has room. */
  get available(): boolean {
    return this.#state === 'ready' && !this.#health.paused;
  }

  /** Its last answer was a failure, or none has come since one. */
  get failing(): boolean {
    return this.#health.failing;
  }

  /** Unanswered images. */
  get load(): number {
    return this.#exchange.size;
  }

  /** From one answer to the next while it has something to do; undefined before its first. */
  get msAnImage(): number | undefined {
    return this.#pace.msAnImage;
  }

  /** Why this teacher will never take such an image; undefined when it will. */
  refusalOf({ image }: ImageRequest): string | undefined {
    return this.#room?.refusalOf(image);
  }

  hasRoom({ image }: ImageRequest): boolean {
    if (!this.available || !this.#room?.holds(image)) return false;
    const limit = Math.min(this.#health.windowImages, this.#room.maxInflightImages);
    return this.#exchange.size < limit;
  }

  connect(): void {
    this.#enter('connecting', '');
    this.#handshake = new Handshake(this.address, this.#settings, this.#owner);
    const timeoutMs = Math.min(WELCOME_TIMEOUT_MS, this.#settings.requestTimeoutMs);
    this.#timer = setTimeout(() => {
      this.#ended(status.DEADLINE_EXCEEDED, `no welcome within ${timeoutMs} ms`);
    }, timeoutMs);
    this.#stream = new DistillStream(this.#endpoint, this.#settings, {
      onMessage: (message) => this.#receive(message),
      onEnd: (code, details) => this.#ended(code, details),
    });
    this.#exchange.open(this.#stream);
  }

  /** Sends an image; call only when there is room. */
  take(request: ImageRequest): void {
    this.#room?.spend(request.image);
    this.#pace.sent(this.#exchange.size);
    this.#exchange.send(request);
  }

  /** Forgets an image; its answer may still arrive and is then ignored. */
  drop(request: ImageRequest): void {
    this.#exchange.drop(request);
    this.#finishIfDone();
  }

  /**
   * Takes no image any more, answers what it has, and is not tried again. Then, or at once when
   * there is nothing to answer, the owner is told; it closes the link.
   */
  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    if (this.#state === 'ready') this.#enter('leaving', `${this.load} images to answer`);
    this.#finishIfDone();
  }

  /** Takes leave() back; the owner hasn't been told of its end. */
  stay(): void {
    if (!this.#isLeft) return;
    this.#isLeft = false;
    if (this.#state !== 'leaving') return;
    this.#enter('ready', 'stays');
    this.#owner.onChange(this);
  }

  /** Ends the stream. The owner has settled every request before. */
  close(): Promise<void> {
    this.#exchange.dropAll();
    const stream = this.#stream;
    const isOpen = ['ready', 'draining', 'leaving'].includes(this.#state);
    this.#enter('closed', '');
    if (stream === undefined || !isOpen) {
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
        this.#exchange.chunk(message.chunk);
        return;
      case 'error':
        this.#exchange.error(message.error);
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
      if (agreement === undefined) {
        this.#stream?.grantUpTo(this.#handshake.missingBytes);
        return;
      }
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

  /**
   * One attempt came to nothing: the teacher is left alone for a while. A teacher that says itself
   * what is wrong is alive, and the stream stays; silence and rubbish end it. Errors and time-outs
   * of one moment count as one failure, rubbish counts each.
   */
  #failed(request: ImageRequest, reason: RequeueReason, detail: string, said: boolean): void {
    this.lastError = `${reason}: ${detail}`;
    const late = reason === 'timeout';
    if (this.#state === 'ready' && !((said || late) && this.#health.paused)) {
      const pauseMs = late ? this.#health.timedOut() : this.#health.failed();
      this.#health.pause(pauseMs, () => this.#owner.onChange(this));
    }
    this.#owner.onFailed(this, request, reason, detail);
    if (!said && this.#health.sick && this.#state === 'ready') {
      this.#ended(status.ABORTED, `given up after failures in a row, the last: ${this.lastError}`);
    } else {
      this.#finishIfDone();
    }
  }

  #drain(graceMs: number): void {
    if (this.#state !== 'ready' && this.#state !== 'leaving') return;
    this.#enter('draining', `for ${graceMs} ms`);
    this.#timer = setTimeout(
      () => {
        this.#ended(status.UNAVAILABLE, `drained for ${graceMs} ms`);
      },
      Math.min(graceMs, MAX_TIMER_MS),
    );
    this.#finishIfDone();
  }

  /** A teacher that leaves, or is left, and owes nothing. */
  #finishIfDone(): void {
    if (this.#exchange.size > 0 || this.#state === 'closed') return;
    if (this.#isLeft) this.#owner.onLeft(this);
    else if (this.#state === 'draining') this.#stream?.finish();
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
    const wasConnected = this.#state !== 'connecting';
    const reason = this.#state === 'draining' ? 'draining' : 'stream';
    this.lastError = words;
    this.#enter('backoff', words);
    this.#timer = setTimeout(() => this.connect(), this.#health.failed());
    for (const request of this.#exchange.end(`${reason}: ${words}`)) {
      this.#owner.onFailed(this, request, reason, words);
    }
    if (wasConnected) this.#owner.onLost(this);
    this.#finishIfDone();
  }

  #enter(state: TeacherState['state'], detail: string): void {
    clearTimeout(this.#timer);
    this.#health.resume();
    this.#state = state;
    this.#settings.onTeacher?.({ address: this.address, state, detail });
  }
}
