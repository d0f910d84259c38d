/** The student's computing thread, as far as its tensors. */
import { replyBuffers } from '../../src/distill/replyBuffers.js';
import type { TeacherReply } from '../../src/contract/teacher.js';
import { startThread } from '../../src/threads/startThread.js';
import { ThreadCalls } from '../../src/threads/threadCalls.js';
import type { ThreadClient, ThreadService } from '../../src/threads/threadService.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';

export interface DecoderCalls {
  /** For replies of teachers with this classifier; null: with logits. */
  setup(classifier: EncodedTensor | null): void;
  /** Takes the replies' buffers; done after `stepMs`, or when they are tensors if that is later. */
  decode(replies: readonly TeacherReply[], stepMs: number): void;
}

export const DECODER: ThreadService<DecoderCalls> = {
  thread: 'the decoding thread',
  calls: { setup: {}, decode: { given: (replies) => replies.flatMap(replyBuffers) } },
  errors: [],
};

/** The thread keeps its process alive until that exits. */
export function startDecoder(): ThreadClient<DecoderCalls> {
  return new ThreadCalls(startThread(import.meta.url, './decodeThread.ts', null), DECODER).call;
}
