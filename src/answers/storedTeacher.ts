/** A teacher whose answers are kept in a store: what it holds isn't asked for again. */
import type { EncodedTensor, WireDType } from '../contract/encodedTensor.js';
import type { EncodedOutput, ImageOutput, OutputName, OutputRequest } from '../contract/outputs.js';
import {
  REPLY_FIELDS,
  replyOfOutputs,
  type Teacher,
  type TeacherImage,
  type TeacherReply,
} from '../contract/teacher.js';
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { unlessAborted } from '../threads/unlessAborted.js';
import type { AnswerHooks } from './answerHooks.js';
import { answerKeyInBackground } from './answerKey.js';
import type { AnswerStore } from './store/answerStore.js';

/** The form that an output of an image must have. */
export interface ExpectedTensor {
  readonly name: OutputName;
  readonly dtype: WireDType;
  readonly shape: readonly number[];
}

/** What the teacher's replies are. */
export interface ReplyForm {
  /** What each reply consists of. */
  readonly outputs: readonly OutputRequest[];
  /** The tensors of the reply to an image of this size. */
  expectedFor(size: { readonly height: number; readonly width: number }): readonly ExpectedTensor[];
  /**
   * How the teacher is asked and read at this time, where its digest doesn't cover that; else empty. Part
   * of the key. It may change as teachers join.
   */
  readonly answerScope: string;
}

export interface StoredTeacherOptions {
  readonly teacher: Teacher;
  readonly form: ReplyForm;
  /** The wrapper closes it, after the teacher. */
  readonly store: AnswerStore;
  readonly hooks: AnswerHooks;
  /** An image was answered from the store. */
  readonly onStored?: (image: TeacherImage) => void;
}

/**
 * Any teacher, with a store in front of it. Replies are those that the teacher gave, byte for byte. The
 * same image asked for twice at once is asked for once. The classifier comes from the teacher.
 */
export class StoredTeacher implements Teacher {
  readonly info: TeacherInfo;
  readonly classifier: EncodedTensor | null;
  readonly #options: StoredTeacherOptions;
  /** The last request for each key, until it and those before it are settled. */
  readonly #open = new Map<string, Promise<unknown>>();

  constructor(options: StoredTeacherOptions) {
    this.#options = options;
    this.info = options.teacher.info;
    this.classifier = options.teacher.classifier;
  }

  /** As the teacher's, unless the store has the answer. */
  async request(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    signal?.throwIfAborted();
    const scope = this.#options.form.answerScope;
    const key = await unlessAborted(this.#key(image, scope), signal);
    const before = this.#open.get(key);
    return this.#register(key, before, this.#after(before, { key, scope }, image, signal));
  }

  /** Asks the teacher, and forgets what the store has: it may be the answer that wasn't usable. */
  async requestElsewhere(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    const scope = this.#options.form.answerScope;
    const key = await this.#key(image, scope);
    return this.#register(key, this.#open.get(key), this.#anew({ key, scope }, image, signal));
  }

  async close(): Promise<void> {
    const { teacher, store } = this.#options;
    await teacher.close().finally(() => store.close());
  }

  /** Later requests for the key wait for this one and, if it ends first, for the one before it. */
  #register(
    key: string,
    before: Promise<unknown> | undefined,
    reply: Promise<TeacherReply>,
  ): Promise<TeacherReply> {
    const settled = Promise.allSettled([before, reply]);
    this.#open.set(key, settled);
    void settled.then(() => {
      if (this.#open.get(key) === settled) this.#open.delete(key);
    });
    return reply;
  }

  async #after(
    before: Promise<unknown> | undefined,
    place: Place,
    image: TeacherImage,
    signal: AbortSignal | undefined,
  ): Promise<TeacherReply> {
    const { teacher, hooks, onStored } = this.#options;
    if (before !== undefined) await unlessAborted(before, signal);
    const stored = await this.#stored(place.key, image, signal);
    if (stored !== null) {
      hooks.onHit('disk');
      onStored?.(image);
      return stored;
    }
    hooks.onMiss();
    return this.#keep(place, await teacher.request(image, signal));
  }

  async #anew(place: Place, image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    const { teacher, store } = this.#options;
    await unlessAborted(store.remove(place.key), signal);
    return this.#keep(place, await teacher.requestElsewhere(image, signal));
  }

  /** null: nothing of the agreed form; what has another form is removed. */
  async #stored(
    key: string,
    image: TeacherImage,
    signal: AbortSignal | undefined,
  ): Promise<TeacherReply | null> {
    const { store, hooks, form } = this.#options;
    const found = await unlessAborted(store.read(key), signal);
    if (found === undefined) return null;
    if (hasForm(found, form.expectedFor(image))) return replyOf(found);
    hooks.onCorrupted();
    await unlessAborted(store.remove(key), signal);
    return null;
  }

  #keep({ key, scope }: Place, reply: TeacherReply): TeacherReply {
    const { store, form } = this.#options;
    // A teacher that is read in another way has joined, and the reply may be its.
    if (form.answerScope === scope) store.write(key, outputsOf(reply));
    return reply;
  }

  #key(image: TeacherImage, scope: string): Promise<string> {
    return answerKeyInBackground({ ...this.info, scope }, this.#options.form.outputs, image);
  }
}

/** Where a reply is kept, and the scope for which its key was made. */
interface Place {
  readonly key: string;
  readonly scope: string;
}

function outputsOf(reply: TeacherReply): EncodedOutput[] {
  const outputs = Object.keys(REPLY_FIELDS) as ImageOutput[];
  return outputs.flatMap((output) => {
    const tensor = reply[REPLY_FIELDS[output]];
    return tensor === null ? [] : [{ output, tensor }];
  });
}

/** Whether the outputs are those expected, each of its data type and shape. */
function hasForm(outputs: readonly EncodedOutput[], expected: readonly ExpectedTensor[]): boolean {
  if (outputs.length !== expected.length) return false;
  return expected.every(({ name, dtype, shape }) => {
    const tensor = outputs.find(({ output }) => output === name)?.tensor;
    return tensor?.dtype === dtype && tensor.shape.join() === shape.join();
  });
}

function replyOf(outputs: readonly EncodedOutput[]): TeacherReply {
  return replyOfOutputs((name) => outputs.find(({ output }) => output === name)?.tensor ?? null);
}
