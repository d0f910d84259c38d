/** .pth files: geometry, wrappers, bounds, round trips; damage never causes a crash. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import { readTorchCheckpoint } from '../../src/wire/torch/torchCheckpoint.js';
import { writeTorchCheckpoint } from '../../src/wire/torch/torchWriter.js';
import { writeZip } from '../../src/wire/torch/zip/writer.js';
import {
  dict,
  floats,
  madePickle,
  madeTorchFile,
  raw,
  storage,
  tensor,
  text,
} from '../support/modelFiles/madePickle.js';

const GOLDEN = new URL('../golden/data/checkpoints/', import.meta.url);
const golden = (name: string) => readFileSync(new URL(name, GOLDEN));

function refusal(bytes: Uint8Array, wrapper?: string): string {
  try {
    readTorchCheckpoint(bytes, wrapper);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
    return error.message;
  }
  return assert.fail('was read');
}

const valuesOf = ({ data }: NamedTensor) => [...new Float32Array(new Uint8Array(data).buffer)];

function values(bytes: Uint8Array, wrapper?: string): Record<string, number[]> {
  const read = readTorchCheckpoint(bytes, wrapper);
  return Object.fromEntries([...read].map(([name, made]) => [name, valuesOf(made)]));
}

/** The storage holds the floats 0, 1, 2 … */
const one = (made: Parameters<typeof tensor>[0], length = 6) =>
  values(
    madeTorchFile(madePickle(dict(['x', tensor(made)])), {
      '0': floats(...Array.from({ length }, (_, index) => index)),
    }),
  )['x'];

test('strides and offsets give the logical contents; contiguous tensors are views', () => {
  assert.deepEqual(one({}), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(one({ size: [3, 2], stride: [1, 3] }), [0, 3, 1, 4, 2, 5]);
  assert.deepEqual(one({ offset: 1, size: [2], stride: [4] }), [1, 5]);
  assert.deepEqual(one({ offset: 5, size: [2, 2], stride: [0, 0] }), [5, 5, 5, 5]);
  assert.deepEqual(one({ offset: 2, size: [], stride: [] }), [2]);
  assert.deepEqual(one({ offset: 9, size: [0, 3], stride: [3, 1] }), []);
  assert.deepEqual(one({ size: [1, 2], stride: [100, 1] }), [0, 1]);
  // Axes that are merged, with an axis of size 1 between them.
  assert.deepEqual(one({ size: [2, 1, 2, 2], stride: [1, 9, 4, 2], storage: storage('0', 8) }, 8), [
    ...[0, 2, 4, 6],
    ...[1, 3, 5, 7],
  ]);
  assert.deepEqual(
    one({ size: [3, 2, 2], stride: [1, 0, 0] }),
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2],
  );
  const file = madeTorchFile(madePickle(dict(['x', tensor()])));
  assert.equal(readTorchCheckpoint(file).get('x')!.data.buffer, file.buffer);
});

test('a small file does not become large tensors', () => {
  const wide = { size: [2 ** 33], stride: [0] };
  const file = madeTorchFile(madePickle(dict(['x', tensor(wide)])));
  assert.match(
    refusal(file),
    /^tensor "x": its strides make it 34359738368 bytes, wanted at most 2147483648$/,
  );
  // Each tensor that shares a storage is copied; further names of one tensor aren't.
  const half = { size: [10 * 2 ** 20], stride: [0] };
  const two = madeTorchFile(madePickle(dict(['x', tensor(half)], ['y', tensor(half)])));
  assert.match(
    refusal(two),
    /^tensor "y": its strides make it 41943040 bytes, 83886080 with those before it; .* at most 67\d+ /,
  );
  const names = Array.from({ length: 40 }, (_, index) => [`x${index}`, raw('h', 0)] as const);
  const shared = madeTorchFile(madePickle(tensor(half), 'q', 0, '0', dict(...names)));
  const read = [...readTorchCheckpoint(shared).values()];
  assert.deepEqual([read.length, new Set(read).size], [40, 1]);
  // Views allocate nothing, however many there are.
  const large = { '0': new Uint8Array(4 * 2 ** 20) };
  const view = tensor({ storage: storage('0', 2 ** 20), size: [2 ** 20], stride: [1] });
  const views = Array.from({ length: 100 }, (_, index) => [`v${index}`, view] as const);
  assert.equal(readTorchCheckpoint(madeTorchFile(madePickle(dict(...views)), large)).size, 100);
});

test('axes of size 1 cost nothing', () => {
  const ones = Array(63).fill(1);
  const made = { size: [15_000_000, ...ones], stride: [0, ...ones.map(() => 0)] };
  const file = madeTorchFile(madePickle(dict(['x', tensor(made)])));
  assert.equal(readTorchCheckpoint(file).get('x')!.data.length, 60_000_000);
});

test('state dicts are found under the usual keys, or under a given one', () => {
  const inner = dict(['w', tensor()], ['epoch', raw('K', 3)]);
  const plain = [0, 1, 2, 3, 4, 5];
  const wrapped = (key: string, content = inner) =>
    madeTorchFile(madePickle(dict(['epoch', raw('K', 1)], [key, content], ['opt', raw('}')])));
  for (const key of ['state_dict', 'model_state_dict', 'model', 'net']) {
    assert.deepEqual(values(wrapped(key)), { w: plain }, key);
  }
  assert.deepEqual(values(wrapped('model', dict(['state_dict', inner]))), { w: plain });
  assert.deepEqual(values(wrapped('mine', dict(['deep', inner])), 'mine.deep'), { w: plain });
  assert.match(refusal(wrapped('mine')), /no tensors by name; its keys are "epoch", "mine", "opt"/);
  assert.match(
    refusal(wrapped('mine'), 'other'),
    /"other": no such key in the checkpoint, which has/,
  );
  assert.match(refusal(wrapped('mine'), 'epoch'), /"epoch": a number, wanted a dict/);
  assert.match(refusal(madeTorchFile(madePickle('N'))), /the checkpoint: None, wanted a dict/);
  assert.match(refusal(madeTorchFile(madePickle('}'))), /its keys are none/);
  assert.match(refusal(madeTorchFile(madePickle(']'))), /the checkpoint: a list/);
  // The search ends in a dict that contains itself.
  const self = madePickle('}q', 0, text('model'), 'h', 0, 's');
  assert.match(refusal(madeTorchFile(self)), /no tensors by name/);
});

test('archives that are not a checkpoint', () => {
  const pickle = madePickle(dict(['x', tensor()]));
  const zip = (...entries: (readonly [string, Uint8Array])[]) => writeZip(new Map(entries));
  assert.match(refusal(zip(['a.txt', pickle])), /0 entries named <folder>\/data\.pkl, wanted one/);
  const two = zip(['a/data.pkl', pickle], ['b/data.pkl', pickle]);
  assert.match(refusal(two), /2 entries named/);
  const big = zip(['a/data.pkl', pickle], ['a/byteorder', Buffer.from('big')]);
  assert.match(refusal(big), /byteorder: not little but "big" in 3 bytes/);
  const long = zip(['a/data.pkl', pickle], ['a/byteorder', Buffer.alloc(1000, 'x')]);
  assert.match(refusal(long), /byteorder: not little but "x{16}" in 1000 bytes/);
  assert.match(refusal(madeTorchFile(pickle, {})), /storage "0" is missing in the file/);
  assert.match(refusal(madeTorchFile(pickle, { '0': floats(1) })), /has 4 bytes, 6 elements/);
  // Storages of tensors outside the state dict are checked, too.
  const beside = madePickle(dict(['state_dict', dict(['x', tensor()])], ['y', storage('7', 1)]));
  assert.match(refusal(madeTorchFile(beside)), /storage "7" is missing/);
});

test("the golden set's faulty files and their errors", () => {
  const wanted: Readonly<Record<string, RegExp>> = {
    'malicious_system.pth': /^pickle, byte 2: global "posix\.system" is refused: from Python's/,
    'malicious_after_tensors.pth': /global "posix\.system" is refused/,
    'malicious_eval.pth': /^pickle, byte 1619: global "__builtin__\.eval" is refused/,
    'malicious_legacy.pth': /^pickle, byte 2: global "posix\.system" is refused/,
    'truncated.pth': /no end of the central directory: the file is truncated/,
    'short_storage.pth': /storage "0" has 162 bytes, 81 elements of F32 want 324/,
    'missing_storage.pth': /storage "1" is missing/,
    'not_a_checkpoint.pth': /begins neither like a zip archive nor with torch\.save's magic/,
  };
  for (const [name, message] of Object.entries(wanted))
    assert.match(refusal(golden(name)), message);
});

test('written files are read back bit for bit', () => {
  const dtypes = readTorchCheckpoint(golden('dtypes.pth'));
  const written = new Map(dtypes).set('é.é', dtypes.get('f32')!);
  const back = readTorchCheckpoint(writeTorchCheckpoint(written));
  assert.deepEqual([...back.keys()], [...written.keys()]);
  for (const [name, { dtype, shape, data }] of written) {
    const read = back.get(name)!;
    assert.deepEqual([read.dtype, read.shape], [dtype, shape], name);
    assert.equal(Buffer.compare(read.data, data), 0, name);
  }
  const wrong = { dtype: 'F32', shape: [3], data: new Uint8Array(8) } as const;
  assert.throws(() => writeTorchCheckpoint(new Map([['w', wrong]])), /w: 8 bytes given/);
});

test('files with a changed byte or a missing end are read or refused', () => {
  let refused = 0;
  for (const name of readdirSync(GOLDEN)) {
    const file = golden(name);
    // A sample that takes a second; all four changes have been tried once on every byte of every file.
    for (let at = 0; at < file.length; at += 11) {
      const changed = Buffer.from(file);
      changed[at] = [0x00, 0xff, file[at]! ^ 0x01, file[at]! ^ 0x80][at % 4]!;
      refused += isRefused(changed) ? 1 : 0;
      refused += at % 9 === 0 && isRefused(file.subarray(0, at)) ? 1 : 0;
    }
  }
  assert.ok(refused > 1000, `${refused} refused`);
});

/** Anything but a CheckpointError fails the test. */
function isRefused(bytes: Uint8Array): boolean {
  try {
    readTorchCheckpoint(bytes);
    return false;
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
    return true;
  }
}
