/** The state of the pickle machine: its stack, marks and memo. A pickle is a program for this machine. */
import { CheckpointError } from '../../checkpointError.js';
import type { PickleCursor } from './cursor.js';
import { PickleDict, PickleTuple } from './values.js';

/** Decides on everything but plain data. Each method throws CheckpointError on what it refuses. */
export interface PickleRules {
  resolve(module: string, name: string): unknown;
  /** Result of a call: opcodes REDUCE, OBJ, INST. */
  call(callee: unknown, args: PickleTuple): unknown;
  /** Result of a class' `__new__`: opcodes NEWOBJ, NEWOBJ_EX. */
  create(type: unknown, args: PickleTuple): unknown;
  /** The value to which a persistent id refers. */
  persistent(id: unknown): unknown;
  setState(target: unknown, state: unknown): void;
  /** Appends items to a value that is neither a list nor a set. */
  append(target: unknown, items: readonly unknown[]): void;
  /** Sets alternating keys and values in a value that isn't a dict. */
  setItems(target: unknown, pairs: readonly unknown[]): void;
}

export class PickleMachine {
  readonly cursor: PickleCursor;
  readonly rules: PickleRules;
  readonly #stack: unknown[] = [];
  /** By index; unset entries are undefined, which no value is. */
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

  /** POP removes the topmost mark if nothing is above it. */
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

  /** Appends `items` to the list on top of the stack, or to a value that `rules` accepts. */
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

  /** Default: the next free index. Each entry takes at least a byte, so no valid index exceeds the position. */
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

  /** The single value that is left when the pickle ends. */
  result(): unknown {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) {
      throw new CheckpointError('STOP with more than one value on the stack');
    }
    return value;
  }
}
