/** What the student's main thread and its computing thread say to each other. */
import type { StudentConfig } from '../../src/config/student.js';
import type { Sample } from '../../src/data/types.js';
import type { MicroBatch, ReplyReplacement, StepOutcome } from '../../src/train/outcome.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import type { StartWeights } from './startWeights.js';

/** One file of a checkpoint. */
export interface StateFile {
  readonly tensors: Map<string, NamedTensor>;
  readonly metadata: Record<string, string>;
}

/** By file name without extension: student, projection_head, optimizer, banks. */
export type StateFiles = Record<string, StateFile>;

/** What the student's parts depend on. */
export interface TeacherSetup {
  /** 0: no feature. */
  readonly featureChannels: number;
  /** See TeacherInfo. */
  readonly alignCorners: boolean;
  /** See Teacher. */
  readonly classifier: EncodedTensor | null;
}

export interface ComputeSetup {
  readonly config: StudentConfig;
  readonly classNames: readonly string[];
  readonly teacher: TeacherSetup | null;
  /** State to go on from; null at the start of a run. */
  readonly state: StateFiles | null;
  /** null: drawn from the seed, or part of the state. */
  readonly startWeights: StartWeights | null;
}

export interface ComputeReady {
  readonly parameters: number;
  readonly featureChannels: number;
  readonly engine: { readonly tensorflow: string; readonly device: string };
}

/** What one whole image adds to the scores. */
export interface EvaluatedImage {
  /** Confusion matrix of this image, [truth, prediction], row-major. */
  readonly counts: Float64Array;
  /** Class numbers, [height * width]. */
  readonly prediction: Uint8Array;
}

/** The computing thread's calls, each answered once and in order. */
export interface ComputeCalls {
  setup(setup: ComputeSetup): ComputeReady;
  step(step: number, microBatches: readonly MicroBatch[]): StepOutcome;
  retry(step: number, replacements: readonly ReplyReplacement[]): StepOutcome;
  evaluate(sample: Sample): EvaluatedImage;
  /** A copy of the whole state. */
  snapshot(): StateFiles;
}

export interface CallMessage {
  readonly call: keyof ComputeCalls;
  readonly args: readonly unknown[];
}

export type AnswerMessage =
  | { readonly result: unknown }
  | { readonly error: { readonly name: string; readonly message: string; readonly stack: string } };

/** The buffers of a state, each once (a file's tensors may share one): they move, uncopied. */
export function stateBuffers(files: StateFiles): ArrayBuffer[] {
  const tensors = Object.values(files).flatMap((file) => [...file.tensors.values()]);
  return [...new Set(tensors.map(({ data }) => data.buffer as ArrayBuffer))];
}
