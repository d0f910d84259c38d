/** The messages between a thread and its caller. */
import type { CrossingError } from './crossingError.js';

export interface CallMessage {
  readonly id: number;
  readonly call: string;
  readonly args: readonly unknown[];
}

/** Sent in place of a call: asks the thread to end once its current call is done. */
export const FINISH = 'finish';

export type AnswerMessage = { readonly id: number } & (
  | {
      readonly result: unknown;
      /** Errors within a list of results, with their indices: a clone would lose their classes. */
      readonly errors: readonly (readonly [place: number, error: CrossingError])[];
    }
  | { readonly error: CrossingError }
);
