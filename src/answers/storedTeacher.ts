/** A teacher whose answers are kept in a store: what it holds isn't asked for again. */
import type { EncodedTensor } from '../contract/encodedTensor.js';
import type { EncodedOutput, OutputName, OutputRequest } from '../contract/outputs.js';
import type { Teacher, TeacherImage, TeacherReply } from '../contract/teacher.js';
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { unlessAborted } from '../threads/unlessAborted.js';
import type { AnswerHooks } from './answerHooks.js';
import { answerKeyInBackground } from './answerKey.js';
import type { AnswerStore } from './store/answerStore.js';

export interface StoredTeacherOptions {
  readonly teacher: Teacher;
  /** What each of the teacher's replies consists of. */
  readonly outputs: readonly OutputRequest[];
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
  /** The last request for each key, until it is settled. */
  readonly #open = new Map<string, Promise<unknown>>();

  constructor(options: StoredTeacherOptions) {
    this.#options = options;
    this.info = options.teacher.info;
    this.classifier = options.teacher.classifier;
  }

  /** As the teacher's, unless the store has the answer. */
  async request(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    signal?.throwIfAborted();
    const key = await unlessAborted(this.#key(image), signal);
    const before = this.#open.get(key);
    const reply = this.#after(before, key, image, signal);
    const settled = reply.catch(() => {});
    this.#open.set(key, settled);
    try {
      return await reply;
    } finally {
      if (this.#open.get(key) === settled) this.#open.delete(key);
    }
  }

  /** Asks the teacher, and forgets what the store has: it may be the answer that wasn't usable. */
  async requestElsewhere(image: TeacherImage, signal?: AbortSignal): Promise<TeacherReply> {
    const { teacher, store } = this.#options;
    const key = await this.#key(image);
    await unlessAborted(store.remove(key), signal);
    return this.#keep(key, await teacher.requestElsewhere(image, signal));
  }

  async close(): Promise<void> {
    const { teacher, store } = this.#options;
    await teacher.close().finally(() => store.close());
  }

  async #after(
    before: Promise<unknown> | undefined,
    key: string,
    image: TeacherImage,
    signal: AbortSignal | undefined,
  ): Promise<TeacherReply> {
    const { teacher, store, hooks, onStored } = this.#options;
    if (before !== undefined) await unlessAborted(before, signal);
    const found = await unlessAborted(store.read(key), signal);
    const stored = found === undefined ? null : replyOf(found, this.#options.outputs);
    if (stored !== null) {
      hooks.onHit('disk');
      onStored?.(image);
      return stored;
    }
    hooks.onMiss();
    return this.#keep(key, await teacher.request(image, signal));
  }

  #keep(key: string, reply: TeacherReply): TeacherReply {
    this.#options.store.write(key, outputsOf(reply));
    return reply;
  }

  #key(image: TeacherImage): Promise<string> {
    return answerKeyInBackground(this.info, this.#options.outputs, image);
  }
}

/** The field of a reply that holds an output of an image. */
const FIELDS = [
  ['logits', 'logits'],
  ['embedding', 'embedding'],
  ['embedding_scale', 'embeddingScale'],
  ['feature_norm', 'featureNorm'],
] as const satisfies readonly (readonly [OutputName, keyof TeacherReply])[];

function outputsOf(reply: TeacherReply): EncodedOutput[] {
  return FIELDS.flatMap(([output, field]) => {
    const tensor = reply[field];
    return tensor === null ? [] : [{ output, tensor }];
  });
}

/** null if the outputs aren't the ones that were agreed. */
function replyOf(
  outputs: readonly EncodedOutput[],
  agreed: readonly OutputRequest[],
): TeacherReply | null {
  const names = (of: readonly { readonly output: OutputName }[]) =>
    of
      .map(({ output }) => output)
      .sort()
      .join();
  if (names(outputs) !== names(agreed)) return null;
  const tensorOf = (name: OutputName) =>
    outputs.find(({ output }) => output === name)?.tensor ?? null;
  return {
    logits: tensorOf('logits'),
    embedding: tensorOf('embedding'),
    embeddingScale: tensorOf('embedding_scale'),
    featureNorm: tensorOf('feature_norm'),
  };
}
