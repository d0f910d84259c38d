/** The calls from the student's main thread to its computing thread. */
import { RankLostError } from '../../src/collectives/collective.js';
import type { GroupOptions } from '../../src/collectives/tensorflowCollective.js';
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import { ContractMismatchError } from '../../src/contract/teacher.js';
import type { Sample } from '../../src/data/types.js';
import { replyBuffers } from '../../src/distill/replyBuffers.js';
import { NonFiniteLogitsError } from '../../src/evaluate/finiteLogits.js';
import { startThread } from '../../src/threads/startThread.js';
import { ThreadCalls } from '../../src/threads/threadCalls.js';
import type { ThreadClient, ThreadService } from '../../src/threads/threadService.js';
import { StopAgreedError } from '../../src/train/loop.js';
import type { MicroBatch, ReplyReplacement, StepOutcome } from '../../src/train/outcome.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import { returnMemoryAtOnce } from '../program/returnedMemory.js';
import type { StartWeights } from './startWeights.js';

/** One file of a checkpoint. */
export interface StateFile {
  readonly tensors: Map<string, NamedTensor>;
  readonly metadata: Record<string, string>;
}

/** Files by name without extension: student, projection_head, channel_projection_head, term_convolutions, graph_convolution, discriminator, optimizer, banks. */
export type StateFiles = Record<string, StateFile>;

/** The properties of the teacher that the student's parts depend on. */
export interface TeacherSetup {
  /** 0: no feature. */
  readonly featureChannels: number;
  /** See TeacherInfo. */
  readonly alignCorners: boolean;
  /** See Teacher. */
  readonly classifier: EncodedTensor | null;
  /** Compared over the ranks of a group. */
  readonly digest?: string;
}

export interface ComputeSetup {
  readonly config: StudentConfig;
  readonly classNames: readonly string[];
  readonly teacher: TeacherSetup | null;
  /** State to resume from; null at the start of a run. */
  readonly state: StateFiles | null;
  /** null: drawn from the seed, or part of the state. */
  readonly startWeights: StartWeights | null;
}

export interface ComputeReady {
  readonly parameters: number;
  readonly featureChannels: number;
  readonly engine: { readonly tensorflow: string; readonly device: string };
}

/** The contribution of one whole image to the scores. */
export interface EvaluatedImage {
  /** Confusion matrix of this image, [truth, prediction], row-major. */
  readonly counts: Float64Array;
  /** Class numbers, [height * width]. */
  readonly prediction: Uint8Array;
}

/** The group of ranks that this process is in. */
export interface JoinedGroup {
  /** What each rank gave, in the order of the ranks. */
  readonly texts: readonly string[];
  /** See TensorflowCollective; for GroupNews. */
  readonly newsDescriptor: number;
}

/** The computing thread's calls, each answered once and in order. */
export interface ComputeCalls {
  /**
   * Waits for all ranks of a group, which give a text each. Before setup(), whose state is then rank 0's for all.
   * After a failure this process is alone.
   */
  join(options: GroupOptions, text: string): JoinedGroup;
  /** In a group it waits for all ranks; throws StopAgreedError, having left the group, if one of them is to stop. */
  setup(setup: ComputeSetup): ComputeReady;
  /** Instead of setup(), in a group: makes that of the other ranks throw StopAgreedError, and leaves the group. */
  stopStart(): void;
  step(step: number, microBatches: readonly MicroBatch[], waitedSeconds: number): StepOutcome;
  retry(
    step: number,
    replacements: readonly ReplyReplacement[],
    waitedSeconds: number,
  ): StepOutcome;
  evaluate(sample: Sample): EvaluatedImage;
  /** In an evaluation: whether all ranks go on; false if one of them is to stop. */
  goOn(): boolean;
  /** What each rank gives, in the order of the ranks; after goOn() was true. */
  gather(bytes: Uint8Array): Uint8Array[];
  /** A copy of the whole state. */
  snapshot(): StateFiles;
  /**
   * Ends the training of all ranks. Unless they have agreed to stop, in which case step() or goOn() said so, this
   * makes those that are about to begin a step, or are in an evaluation, stop, too. Returns the sha256 of the state,
   * which is the same on all ranks; throws if it isn't. null without a group.
   */
  endTraining(haveAgreed: boolean): string | null;
  /**
   * Leaves the group when all ranks do. The others wait for rank 0, which writes the run's report before: if it is
   * lost, so is the report, and they throw RankLostError.
   */
  leave(): void;
}

export type ComputeClient = ThreadClient<ComputeCalls>;

/** Replies and states are moved, not copied; everything else is small, or stays with its owner. */
export const COMPUTE: ThreadService<ComputeCalls> = {
  thread: 'the computing thread',
  calls: {
    join: {},
    stopStart: {},
    goOn: {},
    gather: {},
    endTraining: {},
    leave: {},
    setup: { given: ({ state }) => (state === null ? [] : stateBuffers(state)) },
    step: {
      given: (_, batches) => batches.flatMap(({ replies }) => replies ?? []).flatMap(replyBuffers),
    },
    retry: { given: (_, replaced) => replaced.flatMap(({ reply }) => replyBuffers(reply)) },
    evaluate: {},
    snapshot: { result: stateBuffers },
  },
  errors: [
    ...[CheckpointError, ConfigError, ContractMismatchError],
    ...[NonFiniteLogitsError, RankLostError, StopAgreedError],
  ],
};

export function startComputing(): ThreadCalls<ComputeCalls> {
  return new ThreadCalls(startThread(import.meta.url, './computeWorker.ts', null), COMPUTE);
}

/** Call it before the computing thread opens TensorFlow, which reads the settings only then. */
export function setEngineEnvironment({ train }: StudentConfig): void {
  process.env.TF_NUM_INTRAOP_THREADS = String(train.threads);
  if (train.recompute) returnMemoryAtOnce();
}

/** The buffers of a state, each once: a file's tensors may share one. */
function stateBuffers(files: StateFiles): ArrayBuffer[] {
  const tensors = Object.values(files).flatMap((file) => [...file.tensors.values()]);
  return [...new Set(tensors.map(({ data }) => data.buffer as ArrayBuffer))];
}
