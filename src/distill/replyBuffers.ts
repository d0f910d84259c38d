/** What a reply keeps its numbers in. */
import type { TeacherReply } from '../contract/teacher.js';

/** For moving a reply to another thread: its tensors' buffers, each once. */
export function replyBuffers(reply: TeacherReply): ArrayBuffer[] {
  const { logits, embedding, embeddingScale, featureNorm } = reply;
  return [logits, embedding, embeddingScale, featureNorm].flatMap((tensor) =>
    tensor === null ? [] : [tensor.data],
  );
}
