/** The main thread's end of decodeThread.ts. */
import { startThread } from '../../src/data/startThread.js';
import { replyBuffers } from '../../src/distill/replyBuffers.js';
import type { TeacherReply } from '../../src/contract/teacher.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';

export class Decoder {
  readonly #thread = startThread(import.meta.url, './decodeThread.ts', null);

  /** For replies of teachers with this classifier; null: with logits. */
  setup(classifier: EncodedTensor | null): Promise<void> {
    return this.#call({ classifier }, []);
  }

  /** Takes the replies' buffers; resolves after `stepMs`, or when they are tensors if that is later. */
  decode(replies: readonly TeacherReply[], stepMs: number): Promise<void> {
    return this.#call({ replies, stepMs }, replies.flatMap(replyBuffers));
  }

  async close(): Promise<void> {
    await this.#thread.terminate();
  }

  /** One at a time. */
  #call(message: object, moved: ArrayBuffer[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#thread.once('message', () => {
        this.#thread.off('error', reject);
        resolve();
      });
      this.#thread.once('error', reject);
      this.#thread.postMessage(message, moved);
    });
  }
}
