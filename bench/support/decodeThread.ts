/**
 * Entry of the decoding thread: replies become tensors in native ops and are let go. Where it is told to,
 * it then passes the time that a training step takes.
 */
import { block } from '../../services/teacher/block.js';
import { decodeReplies } from '../../src/distill/decodeReply.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import { scope } from '../../src/tensor/index.js';
import { serveCalls } from '../../src/threads/serveCalls.js';
import { DECODER } from './decoder.js';

let rebuild: LogitsRebuild | null = null;

serveCalls(DECODER, {
  setup(classifier) {
    rebuild?.dispose();
    rebuild = classifier === null ? null : new LogitsRebuild(classifier);
  },
  decode(replies, stepMs) {
    const begin = performance.now();
    scope(() => {
      decodeReplies(replies, rebuild);
    });
    block(stepMs - (performance.now() - begin));
  },
});
