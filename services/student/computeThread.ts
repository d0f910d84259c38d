/** The main thread's end of the computing thread. */
import type { Worker } from 'node:worker_threads';
import { startThread } from '../../src/data/startThread.js';
import type { Sample } from '../../src/data/types.js';
import { replyBuffers } from '../../src/distill/replyBuffers.js';
import type { Compute } from '../../src/train/loop.js';
import type { MicroBatch, ReplyReplacement, StepOutcome } from '../../src/train/outcome.js';
import {
  type AnswerMessage,
  type CallMessage,
  type ComputeCalls,
  type ComputeReady,
  type ComputeSetup,
  type EvaluatedImage,
  type StateFiles,
  stateBuffers,
} from './computeProtocol.js';

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Calls are answered in the order they are made; a dead thread rejects all of them. */
export class ComputeThread implements Compute {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #ended: Error | null = null;

  constructor() {
    this.#worker = startThread(import.meta.url, './computeWorker.ts', null);
    this.#worker.on('message', (answer: AnswerMessage) => this.#answered(answer));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', (code) => this.#end(new Error(`computing thread ended (${code})`)));
  }

  /** The buffers of `setup.state` move to the thread. */
  setup(setup: ComputeSetup): Promise<ComputeReady> {
    const moved = setup.state === null ? [] : stateBuffers(setup.state);
    return this.#call('setup', [setup], moved);
  }

  step(step: number, microBatches: readonly MicroBatch[]): Promise<StepOutcome> {
    const replies = microBatches.flatMap(({ replies }) => replies ?? []);
    return this.#call('step', [step, microBatches], replies.flatMap(replyBuffers));
  }

  retry(step: number, replacements: readonly ReplyReplacement[]): Promise<StepOutcome> {
    const moved = replacements.flatMap(({ reply }) => replyBuffers(reply));
    return this.#call('retry', [step, replacements], moved);
  }

  evaluate(sample: Sample): Promise<EvaluatedImage> {
    return this.#call('evaluate', [sample], []);
  }

  snapshot(): Promise<StateFiles> {
    return this.#call('snapshot', [], []);
  }

  async close(): Promise<void> {
    this.#ended ??= new Error('computing thread closed');
    await this.#worker.terminate();
  }

  #call<Name extends keyof ComputeCalls>(
    call: Name,
    args: Parameters<ComputeCalls[Name]>,
    transfer: ArrayBuffer[],
  ): Promise<ReturnType<ComputeCalls[Name]>> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as (value: never) => void, reject });
      this.#worker.postMessage({ call, args } satisfies CallMessage, transfer);
    });
  }

  #answered(answer: AnswerMessage): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    if ('result' in answer) {
      waiting.resolve(answer.result as never);
    } else {
      const error = new Error(answer.error.message);
      error.name = answer.error.name;
      error.stack = answer.error.stack;
      waiting.reject(error);
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}
