/** A thread for tests of src/threads: it answers, throws, hangs and dies as it is told. */
import type { ThreadService } from '../../../src/threads/threadService.js';

export class TaskError extends RangeError {
  override readonly name = 'TaskError';
  readonly limit: number;

  constructor(message: string, limit: number) {
    super(message, { cause: new TypeError('no number') });
    this.limit = limit;
  }
}

export class UnlistedError extends Error {
  override readonly name = 'UnlistedError';
  readonly code = 'E_UNLISTED';
  readonly handler = () => {};
}

export interface TaskCalls {
  /** The bytes come back; whether these were given back to the caller's thread shows in its own. */
  turn(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
  /** Done in the order asked for, whatever they take. */
  pause(ms: number): Promise<number>;
  fail(kind: 'listed' | 'unlisted' | 'system' | 'text'): void;
  each(): (string | Error)[];
  unclonable(): unknown;
  /** Keeps the thread busy, without a turn of its event loop. */
  block(ms: number): void;
  exit(code: number): Promise<never>;
  dieOf(message: string): Promise<never>;
  /** Nice value of this thread. */
  niceness(): number;
}

export const TASKS: ThreadService<TaskCalls> = {
  thread: 'the task thread',
  calls: {
    turn: { given: (bytes) => [bytes.buffer], result: (bytes) => [bytes.buffer] },
    ...{ pause: {}, fail: {}, each: {}, unclonable: {}, block: {}, exit: {}, dieOf: {} },
    niceness: {},
  },
  errors: [TaskError],
};
