/** Converts answers: small ones at once, others in a thread that is started when one comes. */
import type { TeacherReply } from '../../contract/teacher.js';
import { startThread } from '../../threads/startThread.js';
import { ThreadCalls } from '../../threads/threadCalls.js';
import { type AnswerApi, answerService } from './answerService.js';
import { type RawOutput, replyOf } from './answerTensors.js';

/** Converted in less than a millisecond. */
const SMALL_BYTES = 128 * 1024;

const FINISH_LIMIT_MS = 2000;

export class AnswerThread {
  #calls: ThreadCalls<AnswerApi> | undefined;

  /** Takes the buffers over. Rejects with NonFiniteAnswerError, and if the thread has died. */
  async reply(outputs: readonly RawOutput[]): Promise<TeacherReply> {
    const bytes = outputs.reduce((sum, { data }) => sum + data.byteLength, 0);
    if (bytes <= SMALL_BYTES) return replyOf(outputs);
    this.#calls ??= new ThreadCalls(
      startThread(import.meta.url, './answerWorker.ts', null),
      answerService,
    );
    return this.#calls.call.reply(outputs);
  }

  /** Rejects the calls that wait. */
  async close(): Promise<void> {
    await this.#calls?.finish(FINISH_LIMIT_MS);
  }
}
