/**
 * The queue with a cache of answers in front of it. An image whose answer is known is answered at once,
 * past the queue; images with the same key are computed once, whichever streams ask for them.
 *
 * All else is as without a cache. An image that has to be computed waits in the queue with its own turn,
 * bounds and deadline, also while another with the same key is in the network, so that the end of one
 * stream changes nothing for another; it just may not start. A known answer, too, is only given when the
 * stream has room for it.
 */
import type { AnswerCache } from '../../answers/answerCache.js';
import { answerKey } from '../../answers/answerKey.js';
import type { AnswerPlace } from '../../answers/answerHooks.js';
import type { EncodedOutput } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { expectedOutputs } from '../codec/outputShapes.js';
import { checkResult } from './imageCheck.js';
import type { QueuedRequest, RequestIntake } from './turns.js';

type Answer = readonly EncodedOutput[];

/** The images with one key that haven't been answered. */
interface Group {
  readonly key: string;
  /** Those in the queue, each with the form in which the queue has it. */
  readonly waiting: Map<QueuedRequest, QueuedRequest>;
  /** One of them is in the network. */
  isComputing: boolean;
  /** What is known about the store: `unread` may change, `absent` and `present` are what was found. */
  disk: 'unread' | 'reading' | 'absent' | 'present';
}

export class CachedQueue implements RequestIntake {
  readonly #queue: RequestIntake;
  readonly #cache: AnswerCache;
  readonly #info: TeacherInfo;
  readonly #groups = new Map<string, Group>();
  /** The group of each waiting image. */
  readonly #groupOf = new Map<QueuedRequest, Group>();
  /**
   * Streams for which the store is read, one image at a time: with room for one answer, all others would
   * be read in vain, again and again.
   */
  readonly #readingStreams = new Set<object>();

  constructor(queue: RequestIntake, cache: AnswerCache, info: TeacherInfo) {
    this.#queue = queue;
    this.#cache = cache;
    this.#info = info;
  }

  get size(): number {
    return this.#queue.size;
  }

  submit(request: QueuedRequest): boolean {
    const key = answerKey(this.#info, request.outputs, request.image);
    if (this.#cache.isInMemory(key) && request.mayStart()) {
      this.#answer(request, this.#cache.inMemory(key)!, 'memory', () => request.onLeave());
      return true;
    }
    const group = this.#groups.get(key) ?? this.#newGroup(key);
    const queued = this.#queuedForm(request, group);
    if (!this.#queue.submit(queued)) {
      this.#dropIfDone(group);
      return false;
    }
    group.waiting.set(request, queued);
    this.#groupOf.set(request, group);
    this.#look(group);
    return true;
  }

  remove(request: QueuedRequest): boolean {
    const group = this.#groupOf.get(request);
    const queued = group?.waiting.get(request);
    if (group === undefined || queued === undefined) return false;
    this.#forget(request, group);
    return this.#queue.remove(queued);
  }

  wake(): void {
    for (const group of [...this.#groups.values()]) this.#look(group);
    this.#queue.wake();
  }

  #newGroup(key: string): Group {
    const disk = this.#cache.hasStore ? 'unread' : 'absent';
    const group: Group = { key, waiting: new Map(), isComputing: false, disk };
    this.#groups.set(key, group);
    return group;
  }

  #queuedForm(request: QueuedRequest, group: Group): QueuedRequest {
    return {
      ...request,
      mayStart: () => !group.isComputing && this.#isUnknown(group) && request.mayStart(),
      onStart: () => {
        group.isComputing = true;
        this.#forget(request, group);
        request.onStart();
      },
      onDropped: (reason) => {
        this.#forget(request, group);
        request.onDropped(reason);
      },
      isWanted: () => request.isWanted() || group.waiting.size > 0,
      onResult: (result) => this.#computed(request, group, result),
    };
  }

  #isUnknown({ key, disk }: Group): boolean {
    return disk === 'absent' && !this.#cache.isInMemory(key);
  }

  /** Answers the group's images from the cache, as far as their streams have room. */
  #look(group: Group): void {
    if (group.waiting.size === 0 || group.isComputing) return;
    const outputs = this.#cache.inMemory(group.key);
    if (outputs !== undefined) this.#answerWaiting(group, outputs, 'memory');
    else if (group.disk === 'unread' || group.disk === 'present') void this.#read(group);
  }

  async #read(group: Group): Promise<void> {
    const reader = [...group.waiting.keys()].find(
      ({ stream, mayStart }) => !this.#readingStreams.has(stream) && mayStart(),
    );
    if (reader === undefined) return;
    group.disk = 'reading';
    this.#readingStreams.add(reader.stream);
    const outputs = await this.#cache.onDisk(group.key);
    this.#readingStreams.delete(reader.stream);
    group.disk = outputs === undefined ? 'absent' : 'present';
    if (outputs !== undefined) this.#answerWaiting(group, outputs, 'disk');
    this.#dropIfDone(group);
    this.wake();
  }

  #computed(request: QueuedRequest, group: Group, result: EncodedOutput[] | Error): void {
    group.isComputing = false;
    this.#cache.hooks.onMiss();
    const outputs = this.#usable(request, result);
    if (outputs !== null) {
      this.#cache.keep(group.key, outputs);
      if (this.#cache.hasStore) group.disk = 'present';
    }
    request.onResult(result);
    if (outputs !== null) this.#answerWaiting(group, outputs, 'memory');
    this.#dropIfDone(group);
    this.#queue.wake();
  }

  /** null for an error, and for a result that the stream will refuse. */
  #usable({ image, outputs }: QueuedRequest, result: EncodedOutput[] | Error): Answer | null {
    if (result instanceof Error) return null;
    try {
      checkResult(result, expectedOutputs(image, this.#info, outputs));
      return result;
    } catch {
      return null;
    }
  }

  #answerWaiting(group: Group, outputs: Answer, place: AnswerPlace): void {
    for (const [request, queued] of [...group.waiting]) {
      if (!request.mayStart()) continue;
      this.#forget(request, group);
      this.#answer(request, outputs, place, () => this.#queue.remove(queued));
    }
  }

  /** The room is taken at once; the result comes after the caller has returned. */
  #answer(request: QueuedRequest, outputs: Answer, place: AnswerPlace, leave: () => void): void {
    request.onStart();
    leave();
    this.#cache.hooks.onHit(place);
    setImmediate(() => request.onResult([...outputs], true));
  }

  #forget(request: QueuedRequest, group: Group): void {
    group.waiting.delete(request);
    this.#groupOf.delete(request);
    this.#dropIfDone(group);
  }

  #dropIfDone(group: Group): void {
    const { key, waiting, isComputing, disk } = group;
    if (waiting.size > 0 || isComputing || disk === 'reading') return;
    if (this.#groups.get(key) === group) this.#groups.delete(key);
  }
}
