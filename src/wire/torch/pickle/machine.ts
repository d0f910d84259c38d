/** The state of the machine that a pickle is a program for: its stack, marks and memo. */
import { CheckpointError } from '../../checkpointError.js';
import type { PickleCursor } from './cursor.js';
import { PickleDict, PickleTuple } from './values.js';

/** Decides on all that isn't plain data. Each method throws CheckpointError on what it refuses. */
export interface PickleRules {
  resolve(module: string, name: string): unknown;
  /** REDUCE, OBJ, INST. */
  call(callee: unknown, args: PickleTuple): unknown;
  /** NEWOBJ, NEWOBJ_EX: a class's `__new__`. */
  create(type: unknown, args: PickleTuple): unknown;
  /** What a persistent id stands for. */
  persistent(id: unknown): unknown;
  setState(target: unknown, state: unknown): void;
  /** Items for what is no list and no set. */
  append(target: unknown, items: readonly unknown[]): void;
  /** Keys and values in turn, for what is no dict. */
  setItems(target: unknown, pairs: readonly unknown[]): void;
}

export class PickleMachine {
  readonly cursor: PickleCursor;
  readonly rules: PickleRules;
  readonly #stack: unknown[] = [];
  /** By index; holes are undefined, which no value is. */
  readonly #memo: unknown[] = [];
  #memoised = 0;
  /** Heights of the stack at the open marks. */
  readonly #marks: number[] = [];

  constructor(cursor: PickleCursor, rules: PickleRules) {
    this.cursor = cursor;
    this.rules = rules;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    this.top();
    return this.#stack.pop();
  }

  top(): unknown {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) throw new CheckpointError('nothing on the stack');
    return this.#stack.at(-1);
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  popToMark(): unknown[] {
    const height = this.#marks.pop();
    if (height === undefined) throw new CheckpointError('no mark on the stack');
    return this.#stack.splice(height);
  }

  /** POP takes a mark where there's nothing above it. */
  discard(): void {
    const floor = this.#marks.at(-1);
    if (floor === this.#stack.length) this.#marks.pop();
    else this.pop();
  }

  tuple(size: number): void {
    const floor = this.#marks.at(-1) ?? 0;
    const start = this.#stack.length - size;
    if (start < floor) throw new CheckpointError('nothing on the stack');
    this.push(new PickleTuple(this.#stack.splice(start)));
  }

  /** `items` become part of the list below them, or of what `rules` lets grow. */
  append(items: readonly unknown[]): void {
    const target = this.top();
    if (Array.isArray(target)) {
      for (const item of items) target.push(item);
    } else {
      this.rules.append(target, items);
    }
  }

  setItems(pairs: readonly unknown[]): void {
    const target = this.top();
    if (pairs.length % 2 === 1) throw new CheckpointError('a key without a value');
    if (target instanceof PickleDict) target.setPairs(pairs);
    else this.rules.setItems(target, pairs);
  }

  recall(index: number): void {
    const value = this.#memo[index];
    if (value === undefined) throw new CheckpointError(`memo ${index} holds nothing`);
    this.push(value);
  }

  /** Without an index: behind as many as there are. Each takes a byte at least, so no index is beyond. */
  memoise(index = this.#memoised): void {
    if (index > this.cursor.position) {
      throw new CheckpointError(
        `memo ${index} is set, wanted at most ${this.cursor.position} at this place`,
      );
    }
    const value = this.top();
    if (this.#memo[index] === undefined) this.#memoised += 1;
    this.#memo[index] = value;
  }

  /** What is left when the pickle ends: one value. */
  result(): unknown {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) {
      throw new CheckpointError('STOP with more than one value on the stack');
    }
    return value;
  }
}
