/** Converts answers: small ones at once, others in a thread that is started when one comes. */
import type { Worker } from 'node:worker_threads';
import type { NeededOutput } from '../../contract/outputs.js';
import type { TeacherReply } from '../../contract/teacher.js';
import { startThread } from '../../threads/startThread.js';
import { ThreadCalls } from '../../threads/threadCalls.js';
import { type AnswerApi, answerService } from './answerService.js';
import { type RawOutput, replyOf } from './answerTensors.js';

/** Converted in less than a millisecond. */
const SMALL_BYTES = 128 * 1024;

const FINISH_LIMIT_MS = 2000;

/** After so many deaths answers are converted on the event loop: slower, but they arrive. */
const MOST_DEATHS = 3;

export class AnswerThread {
  readonly #start: () => Worker;
  #calls: ThreadCalls<AnswerApi> | undefined;
  #deaths = 0;

  constructor(start = () => startThread(import.meta.url, './answerWorker.ts', null)) {
    this.#start = start;
  }

  /**
   * Takes the buffers over. Rejects with NonFiniteAnswerError, and if the thread dies meanwhile; the next
   * call starts another.
   */
  async reply(
    outputs: readonly RawOutput[],
    needed: readonly NeededOutput[],
  ): Promise<TeacherReply> {
    const bytes = outputs.reduce((sum, { data }) => sum + data.byteLength, 0);
    if (bytes <= SMALL_BYTES || this.#deaths >= MOST_DEATHS) return replyOf(outputs, needed);
    this.#calls ??= this.#started();
    return this.#calls.call.reply(outputs, needed);
  }

  #started(): ThreadCalls<AnswerApi> {
    const calls = new ThreadCalls(this.#start(), answerService);
    void calls.died.then(() => {
      this.#deaths++;
      this.#calls = undefined;
    });
    return calls;
  }

  /** Rejects the calls that wait. */
  async close(): Promise<void> {
    await this.#calls?.finish(FINISH_LIMIT_MS);
  }
}
