/**
 * Reads a pickle of protocol 2 to 5 into plain data. Nothing is executed: a global is a name that
 * `rules` knows or refuses, a call is one that `rules` makes itself.
 * Source: pickletools.py of CPython 3.11, which describes every opcode.
 *
 * The machine has no recursion and copies nothing, so its memory is bounded by the number of opcodes,
 * which has a limit.
 */
import { CheckpointError } from '../checkpointError.js';
import { PickleCursor } from './pickleCursor.js';
import { kindOf, PickleDict, PickleSet, PickleTuple, shown } from './pickleValues.js';
import { REFUSED } from './refusedOpcodes.js';

/** The closed list. Each method throws CheckpointError on what isn't on it. */
export interface PickleRules {
  resolve(module: string, name: string): unknown;
  call(callee: unknown, args: PickleTuple): unknown;
  /** What a persistent id stands for. */
  persistent(id: unknown): unknown;
  setState(target: unknown, state: unknown): void;
}

/** A checkpoint takes about 40 for each tensor. */
const MOST_OPCODES = 1_000_000;
/** Anything that means something in a checkpoint has 8; the magic number of older files has 10. */
const LONGEST_INTEGER_BYTES = 16;

/** Throws CheckpointError that names the byte, the opcode and the fault. */
export function readPickle(bytes: Uint8Array, rules: PickleRules): unknown {
  return new PickleMachine(new PickleCursor(bytes), rules).run();
}

class PickleMachine {
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

  run(): unknown {
    this.#checkProtocol();
    for (let count = 0; count < MOST_OPCODES; count++) {
      const at = this.cursor.position;
      try {
        const code = this.cursor.uint8();
        if (code === STOP) return this.#result();
        this.#step(code);
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        throw new CheckpointError(`pickle, byte ${at}: ${error.message}`);
      }
    }
    throw new CheckpointError(`pickle: more than ${MOST_OPCODES} opcodes`);
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

  topDict(): PickleDict {
    const dict = this.top();
    if (dict instanceof PickleDict) return dict;
    throw new CheckpointError(`${kindOf(dict)} on the stack, wanted a dict`);
  }

  topList(): unknown[] {
    const list = this.top();
    if (Array.isArray(list)) return list;
    throw new CheckpointError(`${kindOf(list)} on the stack, wanted a list`);
  }

  tuple(size: number): void {
    const items: unknown[] = [];
    for (let i = 0; i < size; i++) items.unshift(this.pop());
    this.push(new PickleTuple(items));
  }

  recall(index: number): void {
    const value = this.#memo[index];
    if (value === undefined) throw new CheckpointError(`memo ${index} holds nothing`);
    this.push(value);
  }

  /** Without an index: behind as many as there are. */
  memoise(index = this.#memoised): void {
    if (index >= MOST_OPCODES) {
      throw new CheckpointError(`memo ${index} is set, wanted below ${MOST_OPCODES}`);
    }
    const value = this.top();
    if (this.#memo[index] === undefined) this.#memoised += 1;
    this.#memo[index] = value;
  }

  #checkProtocol(): void {
    const [proto, version] = [this.cursor.uint8(), this.cursor.uint8()];
    if (proto !== PROTO || version < 2 || version > 5) {
      throw new CheckpointError('pickle: wanted one of protocol 2 to 5');
    }
  }

  #step(code: number): void {
    const operation = OPERATIONS.get(code);
    if (operation !== undefined) {
      operation(this);
      return;
    }
    if (code === INST) {
      const name = shown(this.cursor.globalName().join('.'));
      throw new CheckpointError(`opcode INST of ${name} is refused`);
    }
    const name = REFUSED.get(code) ?? `0x${code.toString(16).padStart(2, '0')}`;
    throw new CheckpointError(`opcode ${name} is refused`);
  }

  #result(): unknown {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) {
      throw new CheckpointError('STOP with more than one value on the stack');
    }
    if (this.cursor.left > 0) throw new CheckpointError(`${this.cursor.left} bytes after STOP`);
    return value;
  }
}

const PROTO = 0x80;
const STOP = 0x2e;
const INST = 0x69;

type PickleOperation = (machine: PickleMachine) => void;

const OPERATIONS = new Map<number, PickleOperation>([
  // Constants.
  [0x4e, (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [0x4a, (m) => m.push(m.cursor.int32())],
  [0x4b, (m) => m.push(m.cursor.uint8())],
  [0x4d, (m) => m.push(m.cursor.uint16())],
  [0x8a, (m) => m.push(integer(m.cursor, m.cursor.uint8()))],
  [0x8b, (m) => m.push(integer(m.cursor, m.cursor.uint32()))],
  [0x47, (m) => m.push(m.cursor.float64())],
  [0x8c, (m) => m.push(m.cursor.text(m.cursor.uint8()))],
  [0x58, (m) => m.push(m.cursor.text(m.cursor.uint32()))],
  [0x8d, (m) => m.push(m.cursor.text(m.cursor.uint64()))],
  [0x43, (m) => m.push(m.cursor.take(m.cursor.uint8()))],
  [0x42, (m) => m.push(m.cursor.take(m.cursor.uint32()))],
  [0x8e, (m) => m.push(m.cursor.take(m.cursor.uint64()))],
  [0x96, (m) => m.push(m.cursor.take(m.cursor.uint64()))],
  // Tuples, lists, dicts, sets.
  [0x28, (m) => m.mark()],
  [0x29, (m) => m.tuple(0)],
  [0x85, (m) => m.tuple(1)],
  [0x86, (m) => m.tuple(2)],
  [0x87, (m) => m.tuple(3)],
  [0x74, (m) => m.push(new PickleTuple(m.popToMark()))],
  [0x5d, (m) => m.push([])],
  [0x61, (m) => append(m, [m.pop()])],
  [0x65, (m) => append(m, m.popToMark())],
  [0x7d, (m) => m.push(new PickleDict(false))],
  [0x73, (m) => setItems(m, [m.pop(), m.pop()].reverse())],
  [0x75, (m) => setItems(m, m.popToMark())],
  [0x8f, (m) => m.push(new PickleSet())],
  [0x90, addItems],
  [0x91, frozenSet],
  // The stack and the memo.
  [0x30, (m) => void m.pop()],
  [0x31, (m) => void m.popToMark()],
  [0x71, (m) => m.memoise(m.cursor.uint8())],
  [0x72, (m) => m.memoise(m.cursor.uint32())],
  [0x94, (m) => m.memoise()],
  [0x68, (m) => m.recall(m.cursor.uint8())],
  [0x6a, (m) => m.recall(m.cursor.uint32())],
  [0x95, (m) => m.cursor.checkFrame()],
  // What the closed list decides on.
  [0x63, (m) => m.push(m.rules.resolve(...m.cursor.globalName()))],
  [0x93, stackGlobal],
  [0x51, (m) => m.push(m.rules.persistent(m.pop()))],
  [0x52, reduce],
  [0x62, build],
]);

/** Two's complement, little-endian; a bigint where a number isn't exact. */
function integer(cursor: PickleCursor, length: number): number | bigint {
  if (length > LONGEST_INTEGER_BYTES) {
    throw new CheckpointError(
      `an integer of ${length} bytes, wanted at most ${LONGEST_INTEGER_BYTES}`,
    );
  }
  let value = 0n;
  const bytes = cursor.take(length);
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  value = BigInt.asIntN(8 * length, value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function append(machine: PickleMachine, items: unknown[]): void {
  const list = machine.topList();
  for (const item of items) list.push(item);
}

function setItems(machine: PickleMachine, items: unknown[]): void {
  const target = machine.topDict();
  if (items.length % 2 === 1) throw new CheckpointError('a key without a value');
  for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
}

function addItems(machine: PickleMachine): void {
  const items = machine.popToMark();
  const set = machine.top();
  if (set instanceof PickleSet) set.add(items);
  else throw new CheckpointError(`${kindOf(set)} on the stack, wanted a set`);
}

function frozenSet(machine: PickleMachine): void {
  const set = new PickleSet();
  set.add(machine.popToMark());
  machine.push(set);
}

function stackGlobal(machine: PickleMachine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof name !== 'string' || typeof module !== 'string') {
    throw new CheckpointError(`a global named by ${kindOf(module)} and ${kindOf(name)}`);
  }
  machine.push(machine.rules.resolve(module, name));
}

function reduce(machine: PickleMachine): void {
  const args = machine.pop();
  const callee = machine.pop();
  if (!(args instanceof PickleTuple)) {
    throw new CheckpointError(`arguments: ${kindOf(args)} given, wanted a tuple`);
  }
  machine.push(machine.rules.call(callee, args));
}

function build(machine: PickleMachine): void {
  const state = machine.pop();
  machine.rules.setState(machine.top(), state);
}
