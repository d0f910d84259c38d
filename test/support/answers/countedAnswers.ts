/** Counts what a cache of answers reports. */
import type { AnswerHooks } from '../../../src/answers/answerHooks.js';

export class CountedAnswers {
  readonly hits = { memory: 0, disk: 0 };
  misses = 0;
  evicted = 0;
  corrupted = 0;
  writeFailures = 0;
  readonly problems: string[] = [];
  readonly hooks: AnswerHooks = {
    onHit: (place) => {
      this.hits[place] += 1;
    },
    onMiss: () => {
      this.misses += 1;
    },
    onEvicted: (_place, answers) => {
      this.evicted += answers;
    },
    onSize() {},
    onCorrupted: () => {
      this.corrupted += 1;
    },
    onWriteFailed: () => {
      this.writeFailures += 1;
    },
    onProblem: (message) => this.problems.push(message),
  };
}
