/** What the bench and its student processes say to each other. */
import type { SimulatedSize } from './teachers.js';

/** workerData of pullSide.ts. */
export interface PullTask {
  readonly size: SimulatedSize;
}

export type PullRequest =
  /** As many images as teachers can: from the first full round of answers to the last but one. */
  | { readonly do: 'pull'; readonly addresses: readonly string[]; readonly imagesEach: number }
  /** Training steps of a fixed time, two images each. */
  | {
      readonly do: 'steps';
      readonly addresses: readonly string[];
      readonly steps: number;
      readonly stepMs: number;
      readonly prefetchSteps: number;
    };

export interface PullAnswer {
  readonly imagesPerSecond: number;
}

export interface StepsAnswer {
  /** Of all steps but the first. */
  readonly seconds: { readonly total: number; readonly teacher: number; readonly data: number };
}

/** Argument of trainSide.ts. */
export interface TrainTask {
  /** The teacher's model file. */
  readonly model: string;
  readonly teacherChannels: number;
  readonly classNames: readonly string[];
  /** Of the teacher in another process; null: it is in this one. */
  readonly address: string | null;
  readonly height: number;
  readonly width: number;
}

export interface TrainRequest {
  readonly steps: number;
}

export interface TrainAnswer {
  readonly imagesPerSecond: number;
  /** Waited for the teacher, share of the time. */
  readonly waiting: number;
}
