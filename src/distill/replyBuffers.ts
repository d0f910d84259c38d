/** What a reply keeps its numbers in. */
import type { EncodedTensor } from '../contract/encodedTensor.js';
import type { TeacherReply } from '../contract/teacher.js';

/** The buffers of a reply's tensors, to transfer the reply to another thread. */
export function replyBuffers(reply: TeacherReply): ArrayBuffer[] {
  const tensors: readonly (EncodedTensor | null)[] = Object.values(reply);
  return tensors.flatMap((tensor) => (tensor === null ? [] : [tensor.data]));
}
