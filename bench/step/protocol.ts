/**
 * How a measured process is talked to. It gets a SideTask as its one argument, says Ready, then
 * answers each request: a JSON object a line, both ways. The end of its input ends it.
 */
import type { WorkProfile } from '../../services/cli/bench/opProfile.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { StepCase } from './cases.js';

export type SideName = 'cirkd' | 'torch' | 'graph';

/** In a task's folder, where the case is a graph. */
export const GRAPH_FILE = 'teacher.onnx';

export interface SideTask {
  readonly case: StepCase;
  readonly threads: number;
  /** Here lie the weights, as .pth files: this project's side writes them, the peer loads them. */
  readonly folder: string;
  readonly train: Pick<StudentConfig['train'], 'learningRate' | 'momentum' | 'weightDecay'>;
  readonly loss: StudentConfig['loss'];
  readonly memory: StudentConfig['memory'];
}

export interface Ready {
  /** 'TensorFlow 2.21.0' */
  readonly engine: string;
  /** Resident memory once the libraries were loaded, before network and input were made. */
  readonly startKiB: number;
}

export type Request =
  /** One step without dropout and with the first rows of each choice: Check. */
  | { readonly do: 'check' }
  /** One repetition: Timing. */
  | { readonly do: 'step' }
  /** Peak resident memory since Ready: Peak. */
  | { readonly do: 'peak' }
  /** WorkProfile; this project's side alone. */
  | { readonly do: 'profile'; readonly repetitions: number };

/** Numbers that both sides must agree on, by what they are. */
export type Check = Readonly<Record<string, readonly number[]>>;

/** ms of each part of a repetition. */
export type Timing = Readonly<Record<string, number>>;

/** The part of a case that is its own. */
export interface StepWork {
  check(): Check;
  step(): Timing;
}

export interface Peak {
  readonly peakKiB: number;
}

export interface Answers {
  readonly check: Check;
  readonly step: Timing;
  readonly peak: Peak;
  readonly profile: WorkProfile;
}
