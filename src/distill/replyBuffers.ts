/** What a reply keeps its numbers in. */
import type { TeacherReply } from '../contract/teacher.js';

/** The buffers of a reply's tensors, to transfer the reply to another thread. */
export function replyBuffers(reply: TeacherReply): ArrayBuffer[] {
  const { logits, embedding, embeddingScale, featureNorm } = reply;
  return [logits, embedding, embeddingScale, featureNorm].flatMap((tensor) =>
    tensor === null ? [] : [tensor.data],
  );
}
