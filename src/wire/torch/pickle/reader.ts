/**
 * Reads a pickle of protocol 0 to 5 into plain data. Nothing from the file is executed: `rules` decides on
 * every global and computes the result of every call itself.
 * Source: pickletools.py of CPython 3.11, which describes every opcode.
 *
 * The machine doesn't recurse or copy. Its memory is bounded by the limited number of opcodes and by the
 * bytes of the pickle: below 128 bytes for each.
 */
import { CheckpointError } from '../../checkpointError.js';
import { PickleCursor } from './cursor.js';
import { OPERATIONS, REFUSED } from './opcodes.js';
import { PickleMachine, type PickleRules } from './machine.js';

/** A tensor takes about 40 opcodes, a number in a loss history 1. At 128 bytes each, 8 million take 1 GiB. */
const MOST_OPCODES = 8_000_000;
const LARGEST_PICKLE_BYTES = 64 * 2 ** 20;
const STOP = 0x2e;
const PROTO = 0x80;
const NEWEST_PROTOCOL = 5;

/** Throws CheckpointError naming the byte, the opcode and the fault. */
export function readPickle(bytes: Uint8Array, rules: PickleRules, what = 'pickle'): unknown {
  const { value, end } = readPickleAt(bytes, 0, rules, what);
  if (end < bytes.length) {
    throw new CheckpointError(`${what}, byte ${end - 1}: ${bytes.length - end} bytes after STOP`);
  }
  return value;
}

/** Reads the pickle of at most 64 MiB that begins at `start`; `end` is the position after it. */
export function readPickleAt(
  bytes: Uint8Array,
  start: number,
  rules: PickleRules,
  what: string,
): { readonly value: unknown; readonly end: number } {
  const window = bytes.subarray(start, start + LARGEST_PICKLE_BYTES);
  const machine = new PickleMachine(new PickleCursor(window), rules);
  const value = run(machine, what);
  return { value, end: start + machine.cursor.position };
}

function run(machine: PickleMachine, what: string): unknown {
  const { cursor } = machine;
  for (let count = 0; count < MOST_OPCODES; count++) {
    const at = cursor.position;
    try {
      const code = cursor.uint8();
      if (code === STOP) return machine.result();
      if (code === PROTO && at === 0) checkProtocol(cursor.uint8());
      else step(machine, code);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      throw new CheckpointError(`${what}, byte ${at}: ${error.message}`);
    }
  }
  throw new CheckpointError(`${what}: more than ${MOST_OPCODES} opcodes`);
}

function checkProtocol(version: number): void {
  if (version > NEWEST_PROTOCOL) {
    throw new CheckpointError(`protocol ${version}, wanted one of 0 to ${NEWEST_PROTOCOL}`);
  }
}

function step(machine: PickleMachine, code: number): void {
  const operation = OPERATIONS.get(code);
  if (operation !== undefined) {
    operation(machine);
    return;
  }
  const name = REFUSED.get(code) ?? `0x${code.toString(16).padStart(2, '0')}`;
  throw new CheckpointError(`opcode ${name} is refused`);
}
