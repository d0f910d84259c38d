/** What the two ends of a thread send each other. */
import type { CrossingError } from './crossingError.js';

export interface CallMessage {
  readonly id: number;
  readonly call: string;
  readonly args: readonly unknown[];
}

/** In place of a call: the thread is to end by itself when the call that it is in is done. */
export const FINISH = 'finish';

export type AnswerMessage = { readonly id: number } & (
  | {
      readonly result: unknown;
      /** Errors in a list of results, by their places: a clone would lose their classes. */
      readonly errors: readonly (readonly [place: number, error: CrossingError])[];
    }
  | { readonly error: CrossingError }
);
