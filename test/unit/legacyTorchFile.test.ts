/** .pth files from before PyTorch 1.6: views, types, keys and counts; every fault is named. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import { isTorchFile, readTorchCheckpoint } from '../../src/wire/torch/torchCheckpoint.js';
import {
  type LegacyParts,
  legacyStorage,
  legacyView,
  madeLegacyFile,
} from '../support/modelFiles/legacyTorchFile.js';
import {
  dict,
  floats,
  long,
  type MadeTensor,
  madePickle,
  raw,
  sizes,
  tensor,
  text,
  uint32,
} from '../support/modelFiles/madePickle.js';

const GOLDEN = new URL('../golden/data/checkpoints/', import.meta.url);
const golden = (name: string) => readFileSync(new URL(name, GOLDEN));

function refusal(bytes: Uint8Array): string {
  try {
    readTorchCheckpoint(bytes);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
    return error.message;
  }
  return assert.fail('was read');
}

const valuesOf = ({ data }: NamedTensor) => [...new Float32Array(new Uint8Array(data).buffer)];

function values(bytes: Uint8Array): Record<string, number[]> {
  const read = [...readTorchCheckpoint(bytes)];
  return Object.fromEntries(read.map(([name, made]) => [name, valuesOf(made)]));
}

const SIX = ['0', floats(0, 1, 2, 3, 4, 5)] as const;
const whole = (made: MadeTensor = {}) => tensor({ storage: legacyStorage('0', 6), ...made });
const fileOf = (made: Uint8Array, parts: Partial<LegacyParts> = {}) =>
  madeLegacyFile({ pickle: madePickle(dict(['x', made])), ...parts });

test("the golden set's file equals the one in the zip format", () => {
  const [legacy, zip] = ['legacy.pth', 'wrapped.pth'].map((name) =>
    readTorchCheckpoint(golden(name)),
  );
  assert.equal(legacy!.size, 14);
  assert.deepEqual(
    [...legacy!].map(([name, { dtype, shape, data }]) => [name, dtype, shape, Buffer.from(data)]),
    [...zip!].map(([name, { dtype, shape, data }]) => [name, dtype, shape, Buffer.from(data)]),
  );
});

test('strides, views and shared storages', () => {
  assert.deepEqual(values(fileOf(whole())), { x: [0, 1, 2, 3, 4, 5] });
  const turned = { size: [3, 2], stride: [1, 3] };
  assert.deepEqual(values(fileOf(whole(turned))), { x: [0, 3, 1, 4, 2, 5] });
  const part = legacyStorage('0', 6, legacyView('v', 2, 3));
  const view = tensor({ storage: part, offset: 1, size: [2], stride: [1] });
  const two = madePickle(dict(['x', view], ['y', whole()]));
  assert.deepEqual(values(madeLegacyFile({ pickle: two })), { x: [3, 4], y: [0, 1, 2, 3, 4, 5] });
  const file = fileOf(whole());
  assert.equal(readTorchCheckpoint(file).get('x')!.data.buffer, file.buffer);
  // Storages are stored in the order of the keys.
  const other = tensor({ storage: legacyStorage('1', 2), size: [2], stride: [1] });
  const both = madePickle(dict(['x', whole()], ['y', other]));
  const storages = [['1', floats(7, 8)], SIX] as const;
  assert.deepEqual(values(madeLegacyFile({ pickle: both, storages })), {
    x: [0, 1, 2, 3, 4, 5],
    y: [7, 8],
  });
  const wide = { storage: legacyStorage('0', 6, legacyView('v', 4, 3)) };
  assert.match(refusal(fileOf(whole(wide))), /storage "v": elements 4 to 7 of storage "0"/);
  const short = { storage: part, size: [4], stride: [1] };
  assert.match(
    refusal(fileOf(whole(short))),
    /last element is number 3 of storage "v", which has 3/,
  );
  const odd = { storage: legacyStorage('0', 6, raw('K', 3)) };
  assert.match(refusal(fileOf(whole(odd))), /wanted a view of \(key, offset, element count\)/);
});

test('tensors as PyTorch 0.1 to 0.3 wrote them, with strings of Python 2', () => {
  const bytes = (value: string) => raw('U', value.length, value);
  const id = ['(', bytes('storage'), 'ctorch\nFloatStorage\n', bytes('0'), bytes('cpu'), 'K', 6];
  const made = ['ctorch._utils\n_rebuild_tensor\n(', ...id, 'NtQK', 0, sizes(6), sizes(1), 'tR'];
  const parameter = raw('ctorch.nn.parameter\nParameter\n', ...made, 0x85, 'R(', 0x88, 0x89, 'Ntb');
  const entries = raw('](](', bytes('w'), parameter, 'ee');
  const pickle = madePickle('ccollections\nOrderedDict\n', entries, 0x85, 'R}b');
  const keys = madePickle('](', bytes('0'), 'e');
  assert.deepEqual(values(madeLegacyFile({ pickle, keys })), { w: [0, 1, 2, 3, 4, 5] });
});

test('text protocols and protocols with frames', () => {
  const magic = raw('L119547037146038801333356L\n.');
  const version = raw('I1001\n.');
  const first = fileOf(whole(), { magic, version, system: raw('(d.') });
  assert.ok(isTorchFile(first));
  assert.deepEqual(values(first), { x: [0, 1, 2, 3, 4, 5] });
  const frame = raw(0x95, uint32(13), uint32(0));
  const framed = raw(0x80, 4, frame, 0x8a, 0x0a, 'l\xfc\x9cF\xf9 j\xa8P\x19.');
  const fourth = fileOf(whole(), { magic: framed });
  assert.ok(isTorchFile(fourth));
  assert.deepEqual(values(fourth), { x: [0, 1, 2, 3, 4, 5] });
});

test('faults of each part are named', () => {
  const x = whole();
  const negative = { counts: [-1n] };
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [
      fileOf(x, { magic: madePickle(raw(0x8a, 0x0a, 'l\xfc\x9cF\xf9 j\xa8P\x18')) }),
      /^magic number: "\d+", wanted 119547037146038801333356$/,
    ],
    [fileOf(x, { version: madePickle('M', 0xea, 3) }), /^protocol version: "1002", wanted 1001$/],
    [fileOf(x, { version: madePickle('N') }), /^protocol version: None, wanted 1001$/],
    [fileOf(x, { system: madePickle('N') }), /^system info: None, wanted a dict$/],
    [fileOf(x, { keys: madePickle('N') }), /^keys of storages: None, wanted a list$/],
    [fileOf(x, { keys: madePickle(']Na') }), /^keys of storages: None is none of the pickle's/],
    [fileOf(x, { keys: madePickle(']', text('7'), 'a') }), /^keys of storages: "7" is none/],
    [fileOf(x, { keys: madePickle('](', text('0'), text('0'), 'e') }), /"0" appears twice$/],
    [fileOf(x, { keys: madePickle(']') }), /^storage "0" is missing in the file$/],
    [fileOf(x, { counts: [5n] }), /^storage "0" has 5 elements, the pickle says 6$/],
    [fileOf(x, negative), /^storage "0" has -1 elements, the pickle says 6$/],
    [fileOf(x, { storages: [['0', floats(1)]], counts: [6n] }), /of 24 bytes, 4 are left/],
    [raw(fileOf(x), 'more'), /^4 bytes after the last storage$/],
    [fileOf(x).subarray(0, -30), /^storage "0": the file ends before it$/],
    [
      fileOf(whole({ storage: legacyStorage('0', 2n ** 52n) })),
      /^storage "0" has 6 elements, the pickle says 4503599627370496$/,
    ],
    [fileOf(whole({ storage: legacyStorage('0', -6) })), /persistent id: wanted .*count, view\)/],
  ];
  for (const [file, wanted] of cases) assert.match(refusal(file), wanted);
  // The pickles around the object are plain data.
  for (const part of ['magic', 'version', 'system', 'keys'] as const) {
    const prefix = part === 'magic' ? raw(0x80, 2, 0x8a, 0x0a, 'x'.repeat(10), '0') : raw(0x80, 2);
    const call = raw(prefix, 'cposix\nsystem\n', text('touch pwned'), 0x85, 'R.');
    assert.match(refusal(fileOf(x, { [part]: call })), /global "posix\.system" is refused: plain/);
  }
});

test('one storage under two dtypes', () => {
  const same = madePickle(
    dict(
      ['x', whole()],
      ['y', whole({ storage: legacyStorage('0', 3, 'N', 'LongStorage'), size: [3], stride: [1] })],
    ),
  );
  const read = readTorchCheckpoint(madeLegacyFile({ pickle: same }));
  assert.deepEqual(read.get('y')!.dtype, 'I64');
  assert.equal(Buffer.compare(read.get('y')!.data, read.get('x')!.data), 0);
  const other = madePickle(dict(['x', whole()], ['y', whole({ storage: legacyStorage('0', 7) })]));
  assert.match(
    refusal(madeLegacyFile({ pickle: other })),
    /storage "0" has 24 bytes in one place, 28 in another/,
  );
});

test('unsupported dtypes are skipped, and refused if they are needed', () => {
  const complex = legacyStorage('c', 2, 'N', 'ComplexFloatStorage');
  const beside = tensor({ storage: complex, size: [2], stride: [1] });
  const storages = [['c', new Uint8Array(16)], SIX] as const;
  const parts = { storages, counts: [2n, 6n] };
  const nested = dict(['state_dict', dict(['x', whole()])], ['spectrum', beside]);
  const file = madeLegacyFile({ pickle: madePickle(nested), ...parts });
  assert.deepEqual(values(file), { x: [0, 1, 2, 3, 4, 5] });
  const wanted = madePickle(dict(['x', whole()], ['y', beside]));
  assert.match(
    refusal(madeLegacyFile({ pickle: wanted, ...parts })),
    /^tensor "y": a "torch\.ComplexFloatStorage", which is not read; wanted plain tensors/,
  );
});

test('a whole module is distinguished from its weights', () => {
  const module = raw('(', text('module'), 'cmine\nNet\n', text('mine.py'), text('class Net'), 'tQ');
  const pickle = madePickle(module, ')', 0x81, dict(['_parameters', dict(['w', whole()])]), 'b');
  assert.match(
    refusal(madeLegacyFile({ pickle })),
    /^the checkpoint: an object of "mine\.Net", .* torch\.save\(model\.state_dict\(\), FILE\)$/,
  );
});

test('archives of the oldest format are recognised', () => {
  const tar = Buffer.alloc(1024);
  tar.write('sys_info', 0);
  tar.write('0000644\0', 100);
  tar.write('ustar', 257);
  assert.ok(isTorchFile(tar));
  assert.match(refusal(tar), /a tar archive, which torch\.save wrote before PyTorch 0\.1\.10/);
});

test('a file of either format is refused if truncated at any hundredth of its length', () => {
  const huge = fileOf(whole({ size: [3000], stride: [0] }));
  for (const file of [golden('legacy.pth'), golden('wrapped.pth'), golden('dtypes.pth'), huge]) {
    for (let percent = 0; percent < 100; percent++) {
      refusal(file.subarray(0, Math.floor((file.length * percent) / 100)));
    }
  }
});

test('a ten-byte number at the start of a file of another kind', () => {
  const header = madePickle(long(5n));
  assert.equal(isTorchFile(header), false);
  const other = madePickle(raw(0x8a, 0x0a, 'abcdefghij'));
  assert.match(refusal(other), /^magic number: /);
});
