/**
 * One teacher of a fleet: a stream to it, reopened for as long as it is a member, and the images sent
 * to it. Failed images go back to the owner, which requests them again.
 *
 *     closed → connecting → ready ⇄ leaving
 *                             ↓        ↓
 *                             draining
 *
 * When the stream ends by itself, a link goes to `backoff`; when the teacher doesn't fit, it goes from
 * `connecting` to `refused`; both lead back to `connecting`. When the owner closes the link, it goes to
 * `closing`, or to `closed` at once if no stream is open.
 */
import { status } from '@grpc/grpc-js';
import { ContractMismatchError, type TeacherReply } from '../../contract/teacher.js';
import type { Endpoint } from '../../rpc/target.js';
import type { Conversation, TeacherProtocol } from './conversation.js';
import type { Admission, Agreement } from './contract.js';
import { type ImageRefusedError, describeEnd } from './errors.js';
import { Pause, TeacherHealth, TeacherPace, TeacherRoom } from './health.js';
import type { ClientSettings, RequeueReason, TeacherState } from './options.js';
import type { ImageRequest } from './request.js';

/** How long a closing stream may take to end by itself. */
const CLOSE_TIMEOUT_MS = 500;

/** The longest delay that setTimeout accepts. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The events that a link reports to its fleet. Once it has reported an image, in any way, it no longer
 * holds it.
 */
export interface LinkOwner extends Admission {
  /** The whole answer came. */
  onReply(link: TeacherLink, request: ImageRequest, reply: TeacherReply): void;
  /** The teacher refused the image for good. */
  onRefused(link: TeacherLink, request: ImageRequest, error: ImageRefusedError): void;
  /** The image has to be requested again. */
  onFailed(link: TeacherLink, request: ImageRequest, reason: RequeueReason, detail: string): void;
  /** An open stream has ended; the link will try again. */
  onLost(link: TeacherLink): void;
  /** The link was asked to leave and has answered everything: the owner closes it before it returns. */
  onLeft(link: TeacherLink): void;
  /** The teacher has more room, became ready, or was refused. */
  onChange(link: TeacherLink): void;
}

/** The outcome of the last welcome, remembered while there is no stream. */
type Verdict =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'fits'; readonly room: TeacherRoom }
  | { readonly kind: 'refused'; readonly error: ContractMismatchError };

/** `timer` belongs to its state and is cleared when the state is left. */
type LinkState =
  /** Not connected yet, or closed for good with its stream over. */
  | { readonly kind: 'closed'; readonly verdict: Verdict }
  /** The stream is open, its handshake incomplete. `timer`: until the link gives up on it. */
  | ({ readonly kind: 'connecting'; readonly verdict: Verdict } & Timed)
  /** Takes images, unless it is paused after a failure. */
  | ({ readonly kind: 'ready'; readonly pause: Pause } & Open)
  /** The owner has dropped it from the fleet: it takes no image and answers those it has. */
  | ({ readonly kind: 'leaving' } & Open)
  /** As `leaving`, but because the teacher shuts down. `timer`: the grace that it announced. */
  | ({ readonly kind: 'draining'; isLeaving: boolean } & Open & Timed)
  /** The stream has ended. `timer`: until the next try. */
  | ({ readonly kind: 'backoff'; readonly verdict: Verdict } & Timed)
  /** The teacher doesn't fit. `timer`: until the next try, as it may be reconfigured. */
  | ({ readonly kind: 'refused'; readonly verdict: Verdict } & Timed)
  /** The owner has closed the link; the stream may end by itself. `timer`: until it is cut. */
  | ({ readonly kind: 'closing'; readonly verdict: Verdict; readonly onEnd: () => void } & Timed);

interface Timed {
  readonly timer: NodeJS.Timeout;
}

interface Open {
  readonly verdict: { readonly kind: 'fits'; readonly room: TeacherRoom };
}

export class TeacherLink {
  readonly address: string;
  lastError = 'no answer yet';

  readonly #settings: ClientSettings;
  readonly #owner: LinkOwner;
  readonly #health: TeacherHealth;
  readonly #conversation: Conversation;
  readonly #pace = new TeacherPace();
  #state: LinkState = { kind: 'closed', verdict: { kind: 'unknown' } };

  constructor(
    endpoint: Endpoint,
    protocol: TeacherProtocol,
    settings: ClientSettings,
    owner: LinkOwner,
  ) {
    this.address = endpoint.address;
    this.#settings = settings;
    this.#owner = owner;
    this.#health = new TeacherHealth(settings);
    this.#conversation = protocol.converse(endpoint, settings, owner, {
      onAgreed: (agreement) => this.#agreed(agreement),
      onMisfit: (error) => this.#refuse(error),
      onCredit: (bytes) => this.#credited(bytes),
      onDraining: (graceMs) => this.#drain(graceMs),
      onEnd: (code, details) => this.#ended(code, details),
      onAnswered: (request, reply) => this.#answered(request, reply),
      onRefused: (request, error) => {
        this.#owner.onRefused(this, request, error);
        this.#finishIfDone();
      },
      onFailed: (...failure) => this.#failed(...failure),
    });
  }

  /** Whether it takes images now, or will as soon as it has room. */
  get available(): boolean {
    return this.#state.kind === 'ready' && !this.#state.pause.isOn;
  }

  /** Whether its latest outcome was a failure. */
  get failing(): boolean {
    return this.#health.failing;
  }

  /** Whether its first stream is being opened. */
  get joining(): boolean {
    return this.#state.kind === 'connecting' && this.#state.verdict.kind === 'unknown';
  }

  /** Unanswered images. */
  get load(): number {
    return this.#conversation.size;
  }

  /** Mean time between two answers while it is busy; undefined before the first. */
  get msPerImage(): number | undefined {
    return this.#pace.msPerImage;
  }

  /** Whether an image that it has answered before costs it nothing; false before its welcome. */
  get cachesAnswers(): boolean {
    const { verdict } = this.#state;
    return verdict.kind === 'fits' && verdict.room.cachesAnswers;
  }

  /** Why the teacher doesn't fit; undefined if it does, or if that isn't known yet. */
  get refusal(): ContractMismatchError | undefined {
    const { verdict } = this.#state;
    return verdict.kind === 'refused' ? verdict.error : undefined;
  }

  /** Why this teacher would never accept the image; undefined if it would. */
  refusalOf({ image }: ImageRequest): string | undefined {
    const { verdict } = this.#state;
    return verdict.kind === 'fits' ? verdict.room.refusalOf(image) : undefined;
  }

  hasRoom({ image }: ImageRequest): boolean {
    const state = this.#state;
    if (state.kind !== 'ready' || state.pause.isOn) return false;
    const { room } = state.verdict;
    const limit = Math.min(this.#health.windowImages, room.maxInflightImages);
    return room.holds(image) && this.#conversation.size < limit;
  }

  /** Opens a stream; call once. From then on the link reconnects by itself. */
  connect(): void {
    const { name, timeoutMs } = this.#conversation.greeting;
    const timer = setTimeout(() => {
      this.#ended(status.DEADLINE_EXCEEDED, `no ${name} within ${timeoutMs} ms`);
    }, timeoutMs);
    const { verdict } = this.#state;
    this.#enter({ kind: 'connecting', verdict, timer }, '');
    this.#conversation.open();
  }

  /** Sends an image; call only when there is room. */
  take(request: ImageRequest): void {
    const { verdict } = this.#state;
    if (verdict.kind === 'fits') verdict.room.spend(request.image);
    this.#pace.sent(this.#conversation.size);
    this.#conversation.send(request);
  }

  /** Forgets an image that is no longer wanted; its answer may still arrive and is then ignored. */
  drop(request: ImageRequest): void {
    this.#conversation.drop(request);
    this.#finishIfDone();
  }

  /**
   * Takes no more images, answers those it has, and isn't reopened. Then, or at once if none is
   * unanswered, calls the owner's onLeft, which closes the link.
   */
  leave(): void {
    const state = this.#state;
    switch (state.kind) {
      case 'ready': {
        const { verdict } = state;
        this.#enter({ kind: 'leaving', verdict }, `unanswered images: ${this.load}`);
        break;
      }
      case 'draining':
        state.isLeaving = true;
        break;
      case 'connecting':
      case 'backoff':
      case 'refused':
        this.#owner.onLeft(this);
        return;
      case 'closed':
      case 'leaving':
      case 'closing':
        return;
    }
    this.#finishIfDone();
  }

  /** Reverts leave(); call it only before onLeft was called. */
  stay(): void {
    const state = this.#state;
    if (state.kind === 'draining') state.isLeaving = false;
    if (state.kind !== 'leaving') return;
    const { verdict } = state;
    this.#enter({ kind: 'ready', verdict, pause: new Pause() }, 'address is back');
    this.#owner.onChange(this);
  }

  /** Ends the stream; call once, after every request is settled. */
  close(): Promise<void> {
    this.#conversation.dropAll();
    const state = this.#state;
    const { verdict } = state;
    if (state.kind === 'ready' || state.kind === 'leaving' || state.kind === 'draining') {
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          this.#ended(status.DEADLINE_EXCEEDED, 'did not end by itself');
        }, CLOSE_TIMEOUT_MS);
        this.#enter({ kind: 'closing', verdict, timer, onEnd: resolve }, '');
        this.#conversation.finish();
      });
    }
    if (state.kind === 'connecting') this.#conversation.cut();
    // A second call cuts the first one short.
    if (state.kind === 'closing') this.#ended(status.CANCELLED, 'closed twice');
    else this.#enter({ kind: 'closed', verdict }, '');
    return Promise.resolve();
  }

  #agreed(agreement: Agreement): void {
    if (this.#state.kind !== 'connecting') return;
    const verdict = { kind: 'fits', room: new TeacherRoom(this.address, agreement) } as const;
    this.#enter({ kind: 'ready', verdict, pause: new Pause() }, agreement.info.digest);
    this.#owner.onChange(this);
  }

  #answered(request: ImageRequest, reply: TeacherReply): void {
    this.#pace.answered();
    this.#health.succeeded();
    if (this.#state.kind === 'ready') this.#state.pause.end();
    this.#owner.onReply(this, request, reply);
    this.#finishIfDone();
  }

  #credited(bytes: number): void {
    const state = this.#state;
    if (!isOpen(state)) return;
    state.verdict.room.grant(bytes);
    this.#owner.onChange(this);
  }

  #refuse(error: ContractMismatchError): void {
    this.lastError = error.message;
    this.#conversation.cut();
    const timer = setTimeout(() => this.connect(), this.#health.refused());
    this.#enter({ kind: 'refused', verdict: { kind: 'refused', error }, timer }, error.message);
    this.#owner.onChange(this);
  }

  /**
   * An attempt failed: the teacher is paused for a while. A teacher that reports its error itself is
   * alive, and the stream stays; silence and garbage end it. Simultaneous errors and time-outs count
   * as one failure, whereas each garbage answer counts.
   */
  #failed(request: ImageRequest, reason: RequeueReason, detail: string, reported: boolean): void {
    this.lastError = `${reason}: ${detail}`;
    const late = reason === 'timeout';
    const state = this.#state;
    if (state.kind === 'ready' && !((reported || late) && state.pause.isOn)) {
      const pauseMs = late ? this.#health.timedOut() : this.#health.failed();
      state.pause.begin(pauseMs, () => this.#owner.onChange(this));
    }
    this.#owner.onFailed(this, request, reason, detail);
    if (!reported && this.#health.sick && this.#state.kind === 'ready') {
      this.#ended(
        status.ABORTED,
        `given up after repeated failures, the last one: ${this.lastError}`,
      );
    } else {
      this.#finishIfDone();
    }
  }

  #drain(graceMs: number): void {
    const state = this.#state;
    if (state.kind !== 'ready' && state.kind !== 'leaving') return;
    const { verdict } = state;
    const isLeaving = state.kind === 'leaving';
    const timer = setTimeout(
      () => {
        this.#ended(status.UNAVAILABLE, `not drained within ${graceMs} ms`);
      },
      Math.min(graceMs, MAX_TIMER_MS),
    );
    this.#enter({ kind: 'draining', verdict, isLeaving, timer }, `grace period: ${graceMs} ms`);
    this.#finishIfDone();
  }

  /** Finishes with a leaving or draining teacher that has answered everything. */
  #finishIfDone(): void {
    const state = this.#state;
    if (this.#conversation.size > 0) return;
    if (state.kind === 'leaving' || (state.kind === 'draining' && state.isLeaving)) {
      this.#owner.onLeft(this);
    } else if (state.kind === 'draining') this.#conversation.finish();
  }

  /** The stream is over, from either side: requests its images again, then reconnects. */
  #ended(code: status, details: string): void {
    const state = this.#state;
    if (state.kind !== 'connecting' && state.kind !== 'closing' && !isOpen(state)) return;
    this.#conversation.cut();
    if (state.kind === 'closing') {
      clearTimeout(state.timer);
      this.#state = { kind: 'closed', verdict: state.verdict };
      state.onEnd();
      return;
    }
    const wasConnected = state.kind !== 'connecting';
    const { description, refusal } = describeEnd(code, details, !wasConnected);
    if (refusal !== undefined) {
      this.#refuse(new ContractMismatchError(`teacher ${this.address} ${refusal}`));
      return;
    }
    const reason = state.kind === 'draining' ? 'draining' : 'stream';
    const isLeft = state.kind === 'leaving' || (state.kind === 'draining' && state.isLeaving);
    this.lastError = description;
    const timer = setTimeout(() => this.connect(), this.#health.failed());
    this.#enter({ kind: 'backoff', verdict: state.verdict, timer }, description);
    for (const request of this.#conversation.end(`${reason}: ${description}`)) {
      this.#owner.onFailed(this, request, reason, description);
    }
    if (wasConnected) this.#owner.onLost(this);
    // Unless the owner has closed it meanwhile.
    if (isLeft && this.#state.kind === 'backoff') this.#owner.onLeft(this);
  }

  /** Stops the previous state's timers and reports the new state. */
  #enter(state: LinkState, detail: string): void {
    const before = this.#state;
    if ('timer' in before) clearTimeout(before.timer);
    if (before.kind === 'ready') before.pause.end();
    this.#state = state;
    const reportedState: TeacherState['state'] = state.kind === 'closing' ? 'closed' : state.kind;
    this.#settings.onTeacher?.({ address: this.address, state: reportedState, detail });
  }
}

/** Whether images may be under way. */
function isOpen(state: LinkState): state is LinkState & Open {
  return state.kind === 'ready' || state.kind === 'leaving' || state.kind === 'draining';
}
