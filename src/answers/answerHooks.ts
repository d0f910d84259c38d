/** What caches report, for metrics and log. No hook may throw. */

/** Where an answer was found. */
export type AnswerPlace = 'memory' | 'disk';

export interface AnswerHooks {
  /** An image was answered without being computed or requested. */
  onHit(place: AnswerPlace): void;
  /** An image had to be computed or requested. */
  onMiss(): void;
  /** Answers were removed to make room. */
  onEvicted(place: AnswerPlace, answers: number): void;
  /** How much is kept, after a change. Of a disk store it includes what other processes keep there. */
  onSize(place: AnswerPlace, bytes: number, answers: number): void;
  /** A stored answer was damaged; it was removed, and counts as a miss. */
  onCorrupted(): void;
  /** An answer couldn't be stored. */
  onWriteFailed(): void;
  /** Something went wrong with the store, which goes on without what failed; reported once per kind. */
  onProblem(message: string): void;
}

/** Hooks that do nothing. */
export const silentAnswerHooks: AnswerHooks = {
  onHit() {},
  onMiss() {},
  onEvicted() {},
  onSize() {},
  onCorrupted() {},
  onWriteFailed() {},
  onProblem() {},
};
