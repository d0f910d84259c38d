/**
 * The student's computing thread, as far as its tensors: decoded in native ops, then let go. Where
 * it is told to, it then passes the time that a training step takes.
 */
import { parentPort } from 'node:worker_threads';
import { block } from '../../services/teacher/block.js';
import { computeInBackground } from '../../src/data/threadPriority.js';
import { decodeReplies } from '../../src/distill/decodeReply.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import type { TeacherReply } from '../../src/contract/teacher.js';
import { scope } from '../../src/tensor/index.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';

type Message =
  | { readonly classifier: EncodedTensor | null }
  | { readonly replies: readonly TeacherReply[]; readonly stepMs: number };

const port = parentPort;
if (port === null) throw new Error('decodeThread.ts runs in a worker thread only');

computeInBackground();
let rebuild: LogitsRebuild | null = null;

port.on('message', (message: Message) => {
  if ('replies' in message) {
    const begin = performance.now();
    scope(() => {
      for (const tensor of Object.values(decodeReplies(message.replies, rebuild))) tensor.dispose();
    });
    block(message.stepMs - (performance.now() - begin));
  } else {
    rebuild?.dispose();
    rebuild = message.classifier === null ? null : new LogitsRebuild(message.classifier);
  }
  port.postMessage(null);
});
