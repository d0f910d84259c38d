/** The inference thread as an engine: pixels and answers are moved, not copied, between threads. */
import type { InferenceImage } from '../../src/contract/inference.js';
import type { OutputRequest } from '../../src/contract/outputs.js';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import type { InferenceEngine } from '../../src/stream/server/serving.js';
import { startThread } from '../../src/threads/startThread.js';
import { ThreadCalls } from '../../src/threads/threadCalls.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import {
  INFERENCE,
  type InferenceCalls,
  type NetworkResults,
  type OpenedNetwork,
  type WorkerSetup,
} from './workerProtocol.js';

/** A thread inside native code doesn't react to a request to end. */
const CLOSE_LIMIT_MS = 5000;

export class WorkerEngine implements InferenceEngine {
  readonly info: TeacherInfo;
  readonly classifier: EncodedTensor | null;
  readonly batchPixels: number | undefined;
  /** For the log: see TeacherNetwork.computes; undefined for networks that say nothing. */
  readonly computes: string | undefined;
  readonly #thread: ThreadCalls<InferenceCalls>;

  /**
   * Starts the thread; resolves when the network is loaded and warm. Rejects with CheckpointError,
   * with the thread's own error, or with the signal's reason. A thread that takes longer than
   * `maxBatchMs` for one batch counts as dead.
   */
  static async start(
    setup: WorkerSetup,
    maxBatchMs: number,
    signal?: AbortSignal,
  ): Promise<WorkerEngine> {
    const worker = startThread(import.meta.url, './worker.ts', null);
    const thread = new ThreadCalls(worker, INFERENCE, {
      deadlines: { infer: { ms: maxBatchMs, work: 'a batch' } },
    });
    try {
      return new WorkerEngine(thread, await unlessAborted(thread.call.open(setup), signal));
    } catch (error) {
      await thread.terminate();
      throw error;
    }
  }

  private constructor(thread: ThreadCalls<InferenceCalls>, opened: OpenedNetwork) {
    this.#thread = thread;
    this.info = opened.info;
    this.classifier = opened.classifier;
    this.batchPixels = opened.batchPixels;
    this.computes = opened.computes;
  }

  /** Resolves with the reason if the thread ends unasked. */
  get died(): Promise<Error> {
    return this.#thread.died;
  }

  infer(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): Promise<NetworkResults> {
    // Pixels are views on gRPC's message; only a copy can be moved.
    const moved = images.map(({ height, width, rgb }) => ({
      ...{ height, width },
      rgb: new Uint8Array(rgb),
    }));
    return this.#thread.call.infer(moved, outputs);
  }

  /** Ends the thread; rejects with ThreadStuckError if it stays inside native code. */
  close(): Promise<void> {
    return this.#thread.terminate(CLOSE_LIMIT_MS);
  }
}
