/**
 * The effect of each pickle opcode on the machine.
 * Source: pickletools.py of CPython 3.11.
 */
import { CheckpointError } from '../../checkpointError.js';
import type { PickleCursor } from './cursor.js';
import type { PickleMachine } from './machine.js';
import { textFloat, textIndex, textInteger, textLong, textString, textUnicode } from './text.js';
import { argumentTuple, kindOf, PickleDict, PickleSet, PickleTuple } from './values.js';

/** Enough for the state of NumPy's generators (17) and the magic number of older files (10). */
const LONGEST_INTEGER_BYTES = 256;
/** Limit for the name of a module or global on the stack. */
const LONGEST_NAME = 128;

/** Names of opcodes that refer outside the file or are allowed only at its beginning. */
export const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x82, 'EXT1'],
  [0x83, 'EXT2'],
  [0x84, 'EXT4'],
  [0x97, 'NEXT_BUFFER'],
  [0x98, 'READONLY_BUFFER'],
  [0x50, 'PERSID'],
  [0x80, 'PROTO'],
]);

type PickleOperation = (machine: PickleMachine) => void;

const CONSTANTS: readonly (readonly [number, PickleOperation])[] = [
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
  // Python 2's strings, and the text protocol.
  [0x55, (m) => m.push(m.cursor.byteString(m.cursor.uint8()))],
  [0x54, (m) => m.push(m.cursor.byteString(m.cursor.int32()))],
  [0x49, (m) => m.push(textInteger(m.cursor.line()))],
  [0x4c, (m) => m.push(textLong(m.cursor.line()))],
  [0x46, (m) => m.push(textFloat(m.cursor.line()))],
  [0x53, (m) => m.push(textString(m.cursor.line()))],
  [0x56, (m) => m.push(textUnicode(m.cursor.line()))],
];

const CONTAINERS: readonly (readonly [number, PickleOperation])[] = [
  [0x28, (m) => m.mark()],
  [0x29, (m) => m.tuple(0)],
  [0x85, (m) => m.tuple(1)],
  [0x86, (m) => m.tuple(2)],
  [0x87, (m) => m.tuple(3)],
  [0x74, (m) => m.push(new PickleTuple(m.popToMark()))],
  [0x5d, (m) => m.push([])],
  [0x6c, (m) => m.push(m.popToMark())],
  [0x61, (m) => m.append([m.pop()])],
  [0x65, (m) => m.append(m.popToMark())],
  [0x7d, (m) => m.push(new PickleDict(false))],
  [0x64, dict],
  [0x73, (m) => m.setItems([m.pop(), m.pop()].reverse())],
  [0x75, (m) => m.setItems(m.popToMark())],
  [0x8f, (m) => m.push(new PickleSet(false))],
  [0x90, addItems],
  [0x91, frozenSet],
];

const MACHINE: readonly (readonly [number, PickleOperation])[] = [
  [0x30, (m) => m.discard()],
  [0x31, (m) => void m.popToMark()],
  [0x32, (m) => m.push(m.top())],
  [0x70, (m) => m.memoise(textIndex(m.cursor.line()))],
  [0x71, (m) => m.memoise(m.cursor.uint8())],
  [0x72, (m) => m.memoise(m.cursor.uint32())],
  [0x94, (m) => m.memoise()],
  [0x67, (m) => m.recall(textIndex(m.cursor.line()))],
  [0x68, (m) => m.recall(m.cursor.uint8())],
  [0x6a, (m) => m.recall(m.cursor.uint32())],
  [0x95, (m) => m.cursor.checkFrame()],
];

/** Operations that the rules decide. */
const RULED: readonly (readonly [number, PickleOperation])[] = [
  [0x63, (m) => m.push(m.rules.resolve(...m.cursor.globalName()))],
  [0x93, stackGlobal],
  [0x51, (m) => m.push(m.rules.persistent(m.pop()))],
  [0x52, reduce],
  [0x81, newObject],
  [0x92, newObjectWithKeywords],
  [0x69, instance],
  [0x6f, object],
  [0x62, build],
];

export const OPERATIONS: ReadonlyMap<number, PickleOperation> = new Map([
  ...CONSTANTS,
  ...CONTAINERS,
  ...MACHINE,
  ...RULED,
]);

/** Two's complement, little-endian; a bigint if a number wouldn't be exact. */
function integer(cursor: PickleCursor, length: number): number | bigint {
  if (length > LONGEST_INTEGER_BYTES) {
    throw new CheckpointError(
      `an integer of ${length} bytes, wanted at most ${LONGEST_INTEGER_BYTES}`,
    );
  }
  if (length === 0) return 0;
  const digits = Buffer.from(cursor.take(length)).reverse().toString('hex');
  const value = BigInt.asIntN(8 * length, BigInt(`0x${digits}`));
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function dict(machine: PickleMachine): void {
  const pairs = machine.popToMark();
  if (pairs.length % 2 === 1) throw new CheckpointError('a key without a value');
  const made = new PickleDict(false);
  made.setPairs(pairs);
  machine.push(made);
}

function addItems(machine: PickleMachine): void {
  const items = machine.popToMark();
  const set = machine.top();
  if (set instanceof PickleSet) set.add(items);
  else if (Array.isArray(set)) throw new CheckpointError('a list on the stack, wanted a set');
  else machine.rules.append(set, items);
}

function frozenSet(machine: PickleMachine): void {
  const set = new PickleSet(true);
  set.add(machine.popToMark());
  machine.push(set);
}

function stackGlobal(machine: PickleMachine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof name !== 'string' || typeof module !== 'string') {
    throw new CheckpointError(`a global named by ${kindOf(module)} and ${kindOf(name)}`);
  }
  const longest = Math.max(name.length, module.length);
  if (longest > LONGEST_NAME) {
    throw new CheckpointError(`a global's name of ${longest} letters, wanted ${LONGEST_NAME}`);
  }
  machine.push(machine.rules.resolve(module, name));
}

function reduce(machine: PickleMachine): void {
  const args = machine.pop();
  const callee = machine.pop();
  machine.push(machine.rules.call(callee, argumentTuple(args)));
}

function newObject(machine: PickleMachine): void {
  const args = machine.pop();
  const type = machine.pop();
  machine.push(machine.rules.create(type, argumentTuple(args)));
}

function newObjectWithKeywords(machine: PickleMachine): void {
  const keywords = machine.pop();
  if (!(keywords instanceof PickleDict)) {
    throw new CheckpointError(`keywords: ${kindOf(keywords)} given, wanted a dict`);
  }
  newObject(machine);
}

function instance(machine: PickleMachine): void {
  const type = machine.rules.resolve(...machine.cursor.globalName());
  machine.push(machine.rules.call(type, new PickleTuple(machine.popToMark())));
}

function object(machine: PickleMachine): void {
  const [type, ...args] = machine.popToMark();
  if (type === undefined) throw new CheckpointError('OBJ without a class');
  machine.push(machine.rules.call(type, new PickleTuple(args)));
}

function build(machine: PickleMachine): void {
  const state = machine.pop();
  machine.rules.setState(machine.top(), state);
}
