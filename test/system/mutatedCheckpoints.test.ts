/**
 * A hundred thousand damaged .pth files of both forms: each is read or refused, in time and memory that
 * the file's size bounds.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { readPickle } from '../../src/wire/torch/pickle/reader.js';
import { readTorchCheckpoint } from '../../src/wire/torch/torchCheckpoint.js';
import { TorchRules } from '../../src/wire/torch/torchRules.js';
import { zipStorages } from '../../src/wire/torch/zipFile.js';
import {
  floats,
  madePickle,
  type PicklePart,
  raw,
  sizes,
  storage,
} from '../support/modelFiles/madePickle.js';
import { mutatedCheckpoint } from '../support/modelFiles/torchMutations.js';

const FILES = 100_000;
const SLOWEST_MS = 5000;
/** What readTorchFile says that it copies, and what each byte of a pickle becomes. */
const FREE_BYTES = 64 * 2 ** 20;
const BYTES_FOR_EACH = 128;

interface Outcome {
  /** null: it was refused. */
  readonly copied: number | null;
  readonly reason: string;
}

function outcomeOf(bytes: Uint8Array, number: number): Outcome {
  try {
    const read = [...readTorchCheckpoint(bytes).values()];
    const copies = new Set(read.filter(({ data }) => data.buffer !== bytes.buffer));
    return { copied: [...copies].reduce((sum, { data }) => sum + data.length, 0), reason: 'read' };
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `file ${number}: ${(error as Error).stack}`);
    // Its kind: without places, numbers and names.
    const kind = error.message.replace(/"[^"]*"|'[^']*'|\d+|byte \d+/g, '').slice(0, 40);
    return { copied: null, reason: kind };
  }
}

test(`${FILES} damaged files are read or refused`, () => {
  const reasons = new Map<string, number>();
  let slowest = 0;
  for (let number = 0; number < FILES; number++) {
    const bytes = new Uint8Array(mutatedCheckpoint(number));
    const started = performance.now();
    const { copied, reason } = outcomeOf(bytes, number);
    slowest = Math.max(slowest, performance.now() - started);
    assert.ok((copied ?? 0) <= FREE_BYTES + bytes.length, `file ${number}: ${copied} bytes copied`);
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const read = reasons.get('read') ?? 0;
  // Damage to numbers in a storage goes unseen; most other damage doesn't.
  assert.ok(read > FILES / 20 && read < FILES / 2, `${read} read`);
  assert.ok(reasons.size > 100, `${reasons.size} kinds of refusal`);
  assert.ok(slowest < SLOWEST_MS, `${slowest} ms`);
  assert.equal(existsSync('cirkd_golden_pwned.txt'), false);
});

/** Collects garbage. */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const REPEATED = 120_000;
const SIX = floats(0, 1, 2, 3, 4, 5);

/** Opcodes that make the most of their bytes, and what has to be on the stack and in the memo before. */
const LARGEST: readonly (readonly [what: string, before: PicklePart[], each: PicklePart[]])[] = [
  ['lists', [], [']']],
  ['dicts', [], ['}']],
  ['tuples', [], [')']],
  ['tuples of one', [], ['N', 0x85]],
  ['sets', [], [0x8f]],
  ['frozen sets', [], ['(', 0x91]],
  ['bytes', [], ['C', 0]],
  ['strings of bytes', [], ['U', 1, 0xff]],
  ['floats', [], ['G', 1, 2, 3, 4, 5, 6, 7, 8]],
  ['large integers', [], [0x8a, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ['dicts of one', [raw('U', 1, 'a', 'q', 0, '0')], ['}h', 0, 'Ns']],
  ['lists of one', [], [']Na']],
  ['objects', ['cmine\nC\nq', 0, '0'], ['h', 0, ')R']],
  ['objects with items', ['cmine\nC\nq', 0, '0U', 1, 'a', 'q', 1, '0'], ['h', 0, ')Rh', 1, 'Ns']],
  ['memo', [], ['N', 0x94]],
  [
    'storages',
    [
      '(',
      raw('U', 7, 'storage'),
      'ctorch\nFloatStorage\nU',
      1,
      '0',
      'U',
      3,
      'cpuK',
      6,
      'tq',
      0,
      '0',
    ],
    ['h', 0, 'Q'],
  ],
  [
    'tensors',
    [
      ...['ctorch._utils\n_rebuild_tensor\nq', 0, '0(', storage('0', 6), 'K', 0],
      ...[sizes(...Array(64).fill(1)), sizes(...Array(64).fill(1)), 'tq', 1, '0'],
    ],
    ['h', 0, 'h', 1, 'R'],
  ],
];

/** Bytes held after garbage is collected. */
function held(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** What the machine and its rules hold at the end of a pickle, for each of its bytes. */
function heldForEach(before: readonly PicklePart[], each: readonly PicklePart[]): number {
  // All is left on the stack; appending to None then asks the rules.
  const pickle = madePickle(...before, repeated(each), 'NNa');
  const rules = new TorchRules(zipStorages(() => SIX));
  let most = 0;
  rules.append = () => {
    most = held();
    throw new CheckpointError('measured');
  };
  const start = held();
  assert.throws(() => readPickle(pickle, rules), /measured/);
  return (most - start) / pickle.length;
}

test(`a pickle takes at most ${BYTES_FOR_EACH} bytes of memory for each of its own`, () => {
  // What the first one compiles isn't counted.
  heldForEach([], ['N']);
  for (const [what, before, each] of LARGEST) {
    const bytes = heldForEach(before, each);
    assert.ok(bytes > 0 && bytes < BYTES_FOR_EACH, `${what}: ${bytes} for each`);
  }
});

function repeated(parts: readonly PicklePart[]): Uint8Array {
  const one = raw(...parts);
  return new Uint8Array(Buffer.alloc(one.length * REPEATED, one));
}
