/** What the streams of one server share. */
import type { Encoding } from '../contract/outputs.js';
import type { AnswerBudget } from './answerRoom.js';
import type { WriteChunk } from './chunkSender.js';
import type { InferenceEngine } from './engine.js';
import type { TeacherServerHooks } from './serverHooks.js';
import type { ServerLimits } from './serverLimits.js';
import type { WorkQueue } from './workQueue.js';

export interface Serving {
  readonly engine: InferenceEngine;
  readonly queue: WorkQueue;
  readonly answers: AnswerBudget;
  readonly limits: ServerLimits;
  /** Encodings that a client may ask for. */
  readonly encodings: readonly Encoding[];
  readonly hooks: TeacherServerHooks;
  /** Stands between each stream's sender and its connection; undefined: nothing does. */
  readonly tapChunks: ((write: WriteChunk) => WriteChunk) | undefined;
}
