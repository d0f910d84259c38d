/** The thread in which answers become tensors: megabytes an image, too long for the event loop. */
import type { TeacherReply } from '../../contract/teacher.js';
import type { ThreadService } from '../../threads/threadService.js';
import { NonFiniteAnswerError, type RawOutput, type replyOf } from './answerTensors.js';

export interface AnswerApi {
  readonly reply: typeof replyOf;
}

export const answerService: ThreadService<AnswerApi> = {
  thread: 'the answer thread',
  calls: {
    reply: {
      given: (outputs: readonly RawOutput[]) => outputs.map(({ data }) => data),
      result: (reply: TeacherReply) =>
        Object.values(reply).flatMap((tensor) => (tensor === null ? [] : [tensor.data])),
    },
  },
  errors: [NonFiniteAnswerError],
};
