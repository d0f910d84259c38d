/** The caller's side of a worker thread. */
import type { Worker } from 'node:worker_threads';
import { fromCrossing } from './crossingError.js';
import { type AnswerMessage, type CallMessage, FINISH } from './messages.js';
import type { CallsOf, ThreadClient, ThreadService, Transfers } from './threadService.js';

/** The thread is inside native code and can't be ended, so it keeps the process alive. */
export class ThreadStuckError extends Error {
  override readonly name = 'ThreadStuckError';
}

/** The thread ended unasked and without an error. */
export class ThreadEndedError extends Error {
  override readonly name = 'ThreadEndedError';
}

/** Time limit for a call, from when it is made: a thread that takes longer counts as dead. */
export interface Deadline {
  readonly ms: number;
  /** The object of the call's work, for the message: "a batch". */
  readonly work: string;
}

export interface ThreadOptions<Api> {
  readonly deadlines?: { readonly [Name in keyof Api]?: Deadline };
  /** The error that calls reject with after the thread's death; default: the cause itself. */
  readonly deathError?: (cause: Error) => Error;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly limit: NodeJS.Timeout | undefined;
}

/**
 * Calls to a thread that runs serveCalls() with the same service. A call rejects with its handler's
 * error (see fromCrossing).
 *
 * The thread is dead when it ends unasked, when an error in it is uncaught, or when a call is past
 * its deadline. Then every pending and every later call rejects with the same error: the thread's
 * own, or one that says how it ended.
 */
export class ThreadCalls<Api extends CallsOf<Api>> {
  readonly call: ThreadClient<Api>;
  /** Resolves with the error that calls then reject with; never, if the thread was asked to end. */
  readonly died: Promise<Error>;
  readonly #worker: Worker;
  readonly #service: ThreadService<Api>;
  readonly #options: ThreadOptions<Api>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #nextId = 0;
  /** The reason why no more answers come. */
  #end: Error | null = null;
  #reportDeath: (error: Error) => void = () => {};

  constructor(worker: Worker, service: ThreadService<Api>, options: ThreadOptions<Api> = {}) {
    this.#worker = worker;
    this.#service = service;
    this.#options = options;
    this.call = this.#client();
    this.died = new Promise((resolve) => {
      this.#reportDeath = resolve;
    });
    worker.on('message', (answer: AnswerMessage) => this.#answered(answer));
    worker.on('messageerror', (error) => this.#die(error));
    worker.on('error', (error) => this.#die(error as Error));
    this.#exited = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#die(new ThreadEndedError(`${service.thread} ended with code ${code}`));
        resolve();
      });
    });
  }

  /**
   * Ends the thread when its current call is done, or after `limitMs` at the latest. Calls that still wait
   * are rejected. For threads that mustn't be interrupted in the middle of a call.
   */
  async finish(limitMs: number): Promise<void> {
    this.#close();
    this.#worker.postMessage(FINISH);
    if (!(await this.#exitsWithin(limitMs))) await this.terminate(limitMs);
  }

  /**
   * Ends the thread at once and rejects the pending calls. Rejects with ThreadStuckError if it doesn't
   * end within `limitMs`; without a limit, waits until native code returns.
   */
  async terminate(limitMs?: number): Promise<void> {
    this.#close();
    void this.#worker.terminate();
    if (limitMs === undefined) return this.#exited;
    if (await this.#exitsWithin(limitMs)) return;
    throw new ThreadStuckError(`${this.#service.thread} doesn't end in ${limitMs} ms`);
  }

  #client(): ThreadClient<Api> {
    const names = Object.keys(this.#service.calls) as (keyof Api & string)[];
    const calls = names.map((name) => [name, (...args: unknown[]) => this.#call(name, args)]);
    return Object.fromEntries(calls) as ThreadClient<Api>;
  }

  #call(name: keyof Api & string, args: readonly unknown[]): Promise<unknown> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const { given } = this.#service.calls[name] as Transfers<(...args: unknown[]) => unknown>;
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const message: CallMessage = { id, call: name, args };
      this.#worker.postMessage(message, given?.(...args) ?? []);
      this.#waiting.set(id, { resolve, reject, limit: this.#limit(name) });
    });
  }

  #limit(name: keyof Api): NodeJS.Timeout | undefined {
    const deadline = this.#options.deadlines?.[name];
    if (deadline === undefined) return undefined;
    const { ms, work } = deadline;
    const message = `${work} has been in ${this.#service.thread} for ${ms / 1000} s: it hangs`;
    return setTimeout(() => this.#die(new Error(message)), ms);
  }

  #answered(answer: AnswerMessage): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    clearTimeout(waiting.limit);
    const { errors: classes } = this.#service;
    if ('error' in answer) {
      waiting.reject(fromCrossing(answer.error, classes));
      return;
    }
    for (const [place, error] of answer.errors) {
      (answer.result as unknown[])[place] = fromCrossing(error, classes);
    }
    waiting.resolve(answer.result);
  }

  /** Only the first cause is kept, as later ones follow from it. */
  #die(cause: Error): void {
    if (this.#end !== null) return;
    const { deathError = (error) => error } = this.#options;
    const error = deathError(cause);
    this.#rejectAll(error);
    this.#reportDeath(error);
  }

  #close(): void {
    if (this.#end === null) this.#rejectAll(new Error(`${this.#service.thread} is closed`));
  }

  #rejectAll(error: Error): void {
    this.#end = error;
    for (const { reject, limit } of this.#waiting.values()) {
      clearTimeout(limit);
      reject(error);
    }
    this.#waiting.clear();
  }

  async #exitsWithin(limitMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), limitMs);
    });
    try {
      return await Promise.race([this.#exited.then(() => true), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
