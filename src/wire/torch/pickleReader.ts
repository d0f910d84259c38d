/**
 * Reads a pickle of protocol 0 to 5 into plain data. Nothing is executed: a global is a name that
 * `rules` decides on, a call is one that `rules` makes itself.
 * Source: pickletools.py of CPython 3.11, which describes every opcode.
 *
 * The machine has no recursion and copies nothing. Its memory is bounded by the number of opcodes,
 * which has a limit, and by the bytes of the pickle: below 128 for each.
 */
import { CheckpointError } from '../checkpointError.js';
import { PickleCursor } from './pickleCursor.js';
import { OPERATIONS, REFUSED } from './pickleOpcodes.js';
import { PickleDict, PickleTuple } from './pickleValues.js';

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

/** A checkpoint takes about 40 for each tensor. */
const MOST_OPCODES = 1_000_000;
const LARGEST_PICKLE_BYTES = 64 * 2 ** 20;
const STOP = 0x2e;
const PROTO = 0x80;
const NEWEST_PROTOCOL = 5;

/** Throws CheckpointError that names the byte, the opcode and the fault. */
export function readPickle(bytes: Uint8Array, rules: PickleRules, what = 'pickle'): unknown {
  const { value, end } = readPickleAt(bytes, 0, rules, what);
  if (end < bytes.length) {
    throw new CheckpointError(`${what}, byte ${end - 1}: ${bytes.length - end} bytes after STOP`);
  }
  return value;
}

/** The pickle that begins at `start`, with the place behind its end; of 64 MiB at most. */
export function readPickleAt(
  bytes: Uint8Array,
  start: number,
  rules: PickleRules,
  what: string,
): { readonly value: unknown; readonly end: number } {
  const window = bytes.subarray(start, start + LARGEST_PICKLE_BYTES);
  const machine = new PickleMachine(new PickleCursor(window), rules, what);
  const value = machine.run();
  return { value, end: start + machine.cursor.position };
}

export class PickleMachine {
  readonly cursor: PickleCursor;
  readonly rules: PickleRules;
  readonly #what: string;
  readonly #stack: unknown[] = [];
  /** By index; holes are undefined, which no value is. */
  readonly #memo: unknown[] = [];
  #memoised = 0;
  /** Heights of the stack at the open marks. */
  readonly #marks: number[] = [];

  constructor(cursor: PickleCursor, rules: PickleRules, what: string) {
    this.cursor = cursor;
    this.rules = rules;
    this.#what = what;
  }

  run(): unknown {
    for (let count = 0; count < MOST_OPCODES; count++) {
      const at = this.cursor.position;
      try {
        const code = this.cursor.uint8();
        if (code === STOP) return this.#result();
        if (code === PROTO && at === 0) this.#protocol();
        else this.#step(code);
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        throw new CheckpointError(`${this.#what}, byte ${at}: ${error.message}`);
      }
    }
    throw new CheckpointError(`${this.#what}: more than ${MOST_OPCODES} opcodes`);
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

  #protocol(): void {
    const version = this.cursor.uint8();
    if (version > NEWEST_PROTOCOL) {
      throw new CheckpointError(`protocol ${version}, wanted one of 0 to ${NEWEST_PROTOCOL}`);
    }
  }

  #step(code: number): void {
    const operation = OPERATIONS.get(code);
    if (operation !== undefined) {
      operation(this);
      return;
    }
    const name = REFUSED.get(code) ?? `0x${code.toString(16).padStart(2, '0')}`;
    throw new CheckpointError(`opcode ${name} is refused`);
  }

  #result(): unknown {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) {
      throw new CheckpointError('STOP with more than one value on the stack');
    }
    return value;
  }
}
