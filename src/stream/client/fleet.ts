/**
 * The teachers of a run, and the images that wait for one. Work is pulled: a teacher gets the next
 * image when it has room, so a faster one does more. Every image is settled exactly once.
 */
import { status } from '@grpc/grpc-js';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import {
  ContractMismatchError,
  NonFiniteReplyError,
  type TeacherReply,
  TeacherUnavailableError,
} from '../../contract/teacher.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import type { Welcome } from '../generated/cirkd/teacher/v1/Welcome.js';
import { AnswerWatch } from './answerWatch.js';
import { refusalOfAll, TeacherChoice } from './choice.js';
import { type Agreement, FleetContract, type Reading } from './contract.js';
import type { TeacherProtocol } from './conversation.js';
import { ImageRefusedError } from './errors.js';
import { type LinkOwner, TeacherLink } from './link.js';
import { Members } from './members.js';
import type { ClientSettings, RequeueReason } from './options.js';
import { withResolvers } from './promises.js';
import type { ImageRequest } from './request.js';

/** An image is given up after this many non-finite answers. */
const MAX_NON_FINITE_REPLIES = 2;

/**
 * An image is given up after this many faults, at any teachers, if other images were answered meanwhile.
 * If none was answered, the teachers are at fault, and teacherTimeoutMs applies.
 */
const MAX_FAULTS = 10;

export class Fleet implements LinkOwner {
  readonly #settings: ClientSettings;
  readonly #contract: FleetContract;
  readonly #members: Members;
  readonly #choice = new TeacherChoice();
  readonly #watch: AnswerWatch;
  readonly #ready = withResolvers<TeacherInfo>();
  /** In the order of requests; a requeued image goes back to its place. */
  readonly #queue: ImageRequest[] = [];
  readonly #unsettled = new Set<ImageRequest>();
  /** The images at teachers, each with its teacher's link. */
  readonly #sent = new Map<ImageRequest, TeacherLink>();
  #inflightBytes = 0;
  #requests = 0;
  #replies = 0;
  #isReady = false;
  #closed: Promise<void> | undefined;

  /** `protocols`: in the order in which they are asked whether an address is theirs. */
  constructor(settings: ClientSettings, protocols: readonly TeacherProtocol[]) {
    this.#settings = settings;
    this.#contract = new FleetContract(settings);
    this.#watch = new AnswerWatch(settings.teacherTimeoutMs, () => this.#expired());
    this.#members = new Members(
      settings,
      protocols,
      ({ endpoint, protocol }) => new TeacherLink(endpoint, protocol, settings, this),
      () => this.#membersChanged(),
    );
  }

  /**
   * Connects; resolves with the first teacher that fits. Rejects with ContractMismatchError when
   * none does, TeacherUnavailableError when none answered in time.
   */
  open(): Promise<TeacherInfo> {
    this.#watch.start();
    this.#members.open();
    return this.#ready.promise;
  }

  submit(request: ImageRequest): void {
    if (this.#closed !== undefined) {
      request.reject(new Error('teacher: request after close'));
      return;
    }
    request.id = ++this.#requests;
    this.#unsettled.add(request);
    this.#queue.push(request);
    this.#watch.start();
    request.onAbort((reason) => {
      this.#reject(request, reason);
      // Deferred until the signal's other listeners have run, so that room freed here doesn't go to
      // requests that they are about to withdraw.
      queueMicrotask(() => this.#dispatch());
    });
    this.#dispatch();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** What the teachers were admitted as. */
  get contract(): Pick<FleetContract, 'classifier' | 'answerScope' | 'travellingOutputs'> {
    return this.#contract;
  }

  admit(address: string, welcome: Welcome): Agreement {
    return this.#contract.admit(address, welcome);
  }

  admitClassifier(address: string, info: TeacherInfo, classifier: EncodedTensor): void {
    this.#contract.admitClassifier(address, info, classifier);
  }

  admitInfo(address: string, info: TeacherInfo, reading: Reading): void {
    this.#contract.admitInfo(address, info, reading);
  }

  onReply(link: TeacherLink, request: ImageRequest, reply: TeacherReply): void {
    this.#watch.answered();
    this.#replies++;
    this.#returned(request);
    if (request.resolve(link.address, reply)) this.#settled(request);
    this.#dispatch();
  }

  onRefused(_link: TeacherLink, request: ImageRequest, error: ImageRefusedError): void {
    this.#watch.answered();
    this.#returned(request);
    this.#reject(request, error);
    this.#dispatch();
  }

  onFailed(link: TeacherLink, request: ImageRequest, reason: RequeueReason, detail: string): void {
    this.#returned(request);
    if (request.settled) return;
    request.failedAt.add(link.address);
    if (request.faults > 0) request.repliesBefore ??= this.#replies;
    if (reason === 'nonfinite' && ++request.nonFiniteReplies >= MAX_NON_FINITE_REPLIES) {
      this.#watch.answered();
      this.#reject(request, nonFiniteError(request, link.address, detail));
    } else if (request.faults >= MAX_FAULTS && this.#replies > request.repliesBefore!) {
      this.#watch.answered();
      this.#reject(request, faultyAnswersError(request, link.address, detail));
    } else {
      this.#settings.onRequeued?.(reason, `${link.address}: ${detail}`);
      this.#requeue(request);
    }
    this.#dispatch();
  }

  /** Requeues at the old place; a suspect image goes last, so that the others can show who is at fault. */
  #requeue(request: ImageRequest): void {
    const suspect = request.faults >= MAX_FAULTS;
    const after = suspect ? -1 : this.#queue.findIndex(({ id }) => id > request.id);
    this.#queue.splice(after < 0 ? this.#queue.length : after, 0, request);
  }

  onLost(_link: TeacherLink): void {
    this.#members.lookUpAgain();
  }

  onLeft(link: TeacherLink): void {
    this.#members.left(link);
    this.#membersChanged();
  }

  onChange(_link: TeacherLink): void {
    this.#membersChanged();
  }

  #membersChanged(): void {
    if (!this.#isReady) this.#checkReady();
    this.#dispatch();
  }

  #checkReady(): void {
    const info = this.#contract.info;
    if (info !== undefined) {
      this.#isReady = true;
      this.#settled();
      this.#ready.resolve(info);
    } else if (this.#members.namesFound && this.#allRefused) {
      this.#watch.stop();
      this.#ready.reject(this.#mismatch());
    }
  }

  /** Whether there are teachers but none that fits. */
  get #allRefused(): boolean {
    const { links } = this.#members;
    return links.length > 0 && links.every(({ refusal }) => refusal !== undefined);
  }

  #dispatch(): void {
    if (this.#closed !== undefined) return;
    for (let i = 0; i < this.#queue.length; ) {
      const request = this.#queue[i]!;
      if (this.#inflightBytes + request.replyBytes > this.#settings.maxInflightBytes) return;
      const { links } = this.#members;
      const refusal = refusalOfAll(request, links);
      if (refusal !== undefined) {
        this.#reject(request, new ImageRefusedError(status.INVALID_ARGUMENT, refusal));
        continue;
      }
      const link = this.#choice.pick(request, links);
      if (link === undefined) {
        i++;
        continue;
      }
      this.#queue.splice(i, 1);
      this.#sent.set(request, link);
      this.#addInflight(request.replyBytes);
      link.take(request);
    }
  }

  /** A link has reported a request's outcome and no longer holds it. */
  #returned(request: ImageRequest): void {
    if (this.#sent.delete(request)) this.#addInflight(-request.replyBytes);
  }

  /** Removes a request from the queue or from its teacher. */
  #withdraw(request: ImageRequest): void {
    const link = this.#sent.get(request);
    if (link !== undefined) {
      this.#returned(request);
      link.drop(request);
    } else {
      const at = this.#queue.indexOf(request);
      if (at >= 0) this.#queue.splice(at, 1);
    }
  }

  #reject(request: ImageRequest, error: unknown): void {
    this.#withdraw(request);
    if (request.reject(error)) this.#settled(request);
  }

  #settled(request?: ImageRequest): void {
    if (request !== undefined) this.#unsettled.delete(request);
    if (this.#unsettled.size === 0 && this.#isReady) this.#watch.stop();
  }

  #addInflight(bytes: number): void {
    this.#inflightBytes += bytes;
    this.#settings.onInflightBytes?.(this.#inflightBytes);
  }

  /** No teacher answered for too long. Teachers are still tried: the caller decides what comes next. */
  #expired(): void {
    const error = this.#members.links.some(({ refusal }) => refusal !== undefined)
      ? this.#expiredWithRefusals()
      : this.#unavailable();
    if (!this.#isReady) this.#ready.reject(error);
    for (const request of [...this.#unsettled]) this.#reject(request, error);
  }

  /** Blames the contract if no teacher has ever fitted; otherwise one that fits is merely away. */
  #expiredWithRefusals(): Error {
    return this.#allRefused || !this.#isReady ? this.#mismatch() : this.#unavailable();
  }

  #unavailable(): TeacherUnavailableError {
    return new TeacherUnavailableError(
      `no teacher answered for ${this.#settings.teacherTimeoutMs} ms: ${this.#members.problems}`,
    );
  }

  #mismatch(): ContractMismatchError {
    return new ContractMismatchError(`no teacher fits this student: ${this.#members.problems}`);
  }

  async #close(): Promise<void> {
    this.#watch.stop();
    const error = new Error('teacher: closed while an image was waiting');
    for (const request of [...this.#unsettled]) this.#reject(request, error);
    await this.#members.close();
  }
}

function faultyAnswersError(
  request: ImageRequest,
  address: string,
  detail: string,
): ImageRefusedError {
  return new ImageRefusedError(
    request.faultCode,
    `image ${request.image.sample}: no usable answer after ${request.attempts} attempts, the last at ${address}: ${detail}`,
  );
}

function nonFiniteError(
  request: ImageRequest,
  address: string,
  detail: string,
): NonFiniteReplyError {
  return new NonFiniteReplyError(
    `image ${request.image.sample}: ${request.nonFiniteReplies} answers were not finite, the last from ${address}: ${detail}`,
  );
}
