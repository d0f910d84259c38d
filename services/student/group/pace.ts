/**
 * Who waits for whom in a group, without comparing clocks: all ranks leave an agreement together, so the one that
 * takes longest until the next, waits for others aside, is the one that the others wait for.
 */
import {
  type Collective,
  type CollectiveUse,
  NO_USE,
  sumOf,
} from '../../../src/collectives/collective.js';
import type { GroupFigures } from '../../../src/train/outcome.js';
import { agree, type Wish } from './agreement.js';

/** Measures a rank's steps. With a single process it does nothing but pass on. */
export class Pace {
  readonly #group: Collective;
  /** Since the last agreement to go, without waits for other ranks. */
  #ownSeconds = 0;
  /** Since the last step. */
  #use: CollectiveUse = NO_USE;
  #lagSeconds: readonly number[] = [];

  constructor(group: Collective) {
    this.#group = group;
    // What the start took.
    group.takeUse();
  }

  /** Counts time that other threads of this rank took. */
  waited(seconds: number): void {
    this.#ownSeconds += seconds;
  }

  /** Counts the time of `work`, except in collectives. */
  measure<T>(work: () => T): T {
    const begin = performance.now();
    try {
      return work();
    } finally {
      const use = this.#group.takeUse();
      this.#use = sumOf(this.#use, use);
      this.#ownSeconds += (performance.now() - begin) / 1000 - use.seconds;
    }
  }

  /** `work` is no part of a step: nothing of it is counted. */
  aside<T>(work: () => T): T {
    try {
      return work();
    } finally {
      this.#group.takeUse();
    }
  }

  agree(wish: Wish): Wish {
    const agreed = agree(this.#group, wish, this.#ownSeconds);
    this.#use = sumOf(this.#use, this.#group.takeUse());
    if (agreed.wish === 'go') {
      this.#lagSeconds = lagSeconds(agreed.ownSeconds);
      this.#ownSeconds = 0;
    }
    return agreed.wish;
  }

  /** Of the step that was just made; null without other ranks. */
  takeFigures(): GroupFigures | null {
    const use = this.#use;
    this.#use = NO_USE;
    return this.#group.size === 1 ? null : { use, lagSeconds: this.#lagSeconds };
  }
}

/** See GroupFigures. */
export function lagSeconds(ownSeconds: readonly number[]): number[] {
  const sorted = ownSeconds.toSorted((a, b) => a - b);
  const typical = sorted[Math.floor((sorted.length - 1) / 2)]!;
  return ownSeconds.map((seconds) => Math.max(0, seconds - typical));
}
