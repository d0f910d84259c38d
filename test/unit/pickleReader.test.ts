/** Pickles that aren't a checkpoint's are refused by name; nothing in them is executed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { type PickleRules, readPickle } from '../../src/wire/torch/pickleReader.js';
import { type PickleDict, PickleSet, type PickleTuple } from '../../src/wire/torch/pickleValues.js';
import { torchRules } from '../../src/wire/torch/torchRules.js';
import {
  dict,
  floats,
  long,
  madePickle,
  type PicklePart,
  raw,
  storage,
  tensor,
  text,
  uint32,
} from '../support/madePickle.js';

const rules = torchRules((key) => (key === '0' ? floats(0, 1, 2, 3, 4, 5) : undefined));

function read(...parts: PicklePart[]): unknown {
  return readPickle(madePickle(...parts), rules);
}

/** The message of the CheckpointError; any other error fails the test. */
function refusal(bytes: Uint8Array, by: PickleRules = rules): string {
  try {
    readPickle(bytes, by);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
    return error.message;
  }
  return assert.fail(`was read: ${Buffer.from(bytes).toString('latin1')}`);
}

const command = text('touch pwned');

test('plain data of protocols 2 to 5', () => {
  assert.equal(read('N'), null);
  assert.deepEqual(read('](K', 7, 'M', 1, 2, 'J', 0xfd, 0xff, 0xff, 0xff, 'e'), [7, 513, -3]);
  assert.equal(read('G', 0x3f, 0xe0, 0, 0, 0, 0, 0, 0), 0.5);
  assert.equal(read(long(2n ** 40n)), 2 ** 40);
  assert.equal(read(long(-(2n ** 100n))), -(2n ** 100n));
  assert.equal(read(raw(0x8a, 10, 'l\xfc\x9cF\xf9 j\xa8P\x19')), 0x1950a86a20f9469cfc6cn);
  assert.equal(read(raw(0x8a, 0)), 0);
  assert.equal(read(text('\u{feff}é')), '\u{feff}é');
  const tuple = read('K', 1, 0x88, 0x89, 0x87) as PickleTuple;
  assert.deepEqual(tuple.items, [1, true, false]);
  const nested = read(dict(['a', raw('}')], ['b', raw(')')])) as PickleDict;
  assert.deepEqual([...nested.entries.keys()], ['a', 'b']);
  // Protocol 4: FRAME, SHORT_BINUNICODE, MEMOIZE, EMPTY_SET, ADDITEMS, FROZENSET, SHORT_BINBYTES.
  const frame = raw(0x95, 3, 0, 0, 0, 0, 0, 0, 0);
  const four = raw(0x80, 4, frame, 0x8c, 1, 'x', 0x94, 'h', 0, 0x86, '.');
  assert.deepEqual((readPickle(four, rules) as PickleTuple).items, ['x', 'x']);
  for (const set of [read(0x8f, '(K', 1, 'K', 2, 0x90), read('(K', 1, 'K', 2, 0x91)]) {
    assert.ok(set instanceof PickleSet);
    assert.deepEqual(set.items, [1, 2]);
  }
  assert.deepEqual(read('C', 2, 'ab'), new Uint8Array([97, 98]));
  assert.deepEqual(read(0x96, 1, 0, 0, 0, 0, 0, 0, 0, 'z'), new Uint8Array([122]));
});

test('a list that holds itself is no trouble', () => {
  const list = read(']q', 0, 'h', 0, 'a') as unknown[];
  assert.equal(list[0], list);
});

test('globals that are not on the list are refused by name, called or not', () => {
  const names: readonly (readonly [module: string, name: string])[] = [
    ['os', 'system'],
    ['posix', 'system'],
    ['builtins', 'eval'],
    ['__builtin__', 'getattr'],
    ['subprocess', 'Popen'],
    ['torch', 'load'],
    ['torch', 'FloatStorage2'],
    ['torch.storage', 'UntypedStorage'],
    ['torch._utils', '_rebuild_tensor'],
    ['torch._utils.', '_rebuild_tensor_v2'],
    ['collections', 'OrderedDict.fromkeys'],
    ['collections', '__proto__'],
    ['', 'constructor'],
    ['numpy.core.multiarray', '_reconstruct'],
  ];
  for (const [module, name] of names) {
    const asLines = `c${module}\n${name}\n`;
    const wanted = `global ${JSON.stringify(`${module}.${name}`)} is refused`;
    assert.ok(refusal(madePickle(asLines)).includes(wanted), name);
    assert.ok(refusal(madePickle(asLines, command, 0x85, 'R')).includes(wanted), name);
    const stacked = madePickle(text(module), text(name), 0x93, command, 0x85, 'R');
    assert.ok(refusal(stacked).includes(wanted), name);
    assert.ok(
      refusal(madePickle('(', command, `i${module}\n${name}\n`)).includes(`${name}"`),
      name,
    );
  }
  assert.match(refusal(madePickle(`c${'x'.repeat(600)}\ny\n`)), /name without an end: "xxxx/);
  assert.match(refusal(madePickle('cos\nsystem')), /name without an end/);
  assert.match(refusal(madePickle(text('os'), 'K', 1, 0x93)), /named by a string and a number/);
});

test('a name is shown in quotes, short and without control characters', () => {
  const message = refusal(madePickle(`c\u001b[2J${'x'.repeat(400)}\ny\n`));
  assert.ok(!message.includes('\u001b') && message.length < 300, message);
});

test('opcodes that build objects or leave the file are refused by name', () => {
  const cases: readonly (readonly [PicklePart[], string])[] = [
    [['(', 'ccollections\nOrderedDict\n', 'o'], 'OBJ'],
    [['ccollections\nOrderedDict\n)', 0x81], 'NEWOBJ'],
    [['ccollections\nOrderedDict\n)}', 0x92], 'NEWOBJ_EX'],
    [[0x82, 1], 'EXT1'],
    [[0x83, 1, 1], 'EXT2'],
    [[0x84, 1, 1, 1, 1], 'EXT4'],
    [[0x97], 'NEXT_BUFFER'],
    [['N', 0x98], 'READONLY_BUFFER'],
    [['Pid\n'], 'PERSID'],
    [['I01\n'], 'INT'],
    [["S'x'\n"], 'STRING'],
    [['N2'], 'DUP'],
    [[0x80, 2], 'PROTO'],
    [[0xff], '0xff'],
  ];
  for (const [parts, name] of cases) {
    assert.match(refusal(madePickle(...parts)), new RegExp(`opcode ${name} is refused$`));
  }
});

test('calls and attributes are on the list, too', () => {
  const calls: readonly (readonly [PicklePart[], RegExp])[] = [
    [['ctorch\nFloatStorage\n)R'], /a call of torch\.FloatStorage is refused/],
    [[command, ')R'], /a call of a string is refused/],
    [['ccollections\nOrderedDict\n', ']', 0x85, 'R'], /OrderedDict: wanted no arguments/],
    [['ccollections\nOrderedDict\n', 'NR'], /arguments: None given, wanted a tuple/],
    [['}}b'], /attributes of a dict are refused/],
    [['ccollections\nOrderedDict\n)RNb'], /attributes of an OrderedDict are refused/],
    [[tensor(), '}b'], /attributes of a PickledTensor are refused/],
    [['ctorch._utils\n_rebuild_parameter\n(N', 0x88, 'NtR'], /_rebuild_parameter: wanted a tensor/],
    [['ctorch._utils\n_rebuild_tensor_v2\n)R'], /_rebuild_tensor_v2: 0 arguments/],
  ];
  for (const [parts, wanted] of calls) assert.match(refusal(madePickle(...parts)), wanted);
});

test('persistent ids', () => {
  const wanted = /persistent id: wanted/;
  for (const part of [raw('NQ'), raw(text('storage'), 'Q'), raw(')Q'), storage('0', -1)]) {
    assert.match(refusal(madePickle(part)), wanted);
  }
  assert.match(refusal(madePickle(storage('0', 2n ** 63n))), wanted);
  assert.match(refusal(madePickle('(', text('module'), 'N', text('0'), 'NNtQ')), wanted);
  assert.match(refusal(madePickle(storage('1', 6))), /storage "1" is missing/);
  assert.match(refusal(madePickle(storage('../0', 6))), /storage "\.\.\/0" is missing/);
  const short = /storage "0" has 24 bytes, 7 elements of F32 want 28/;
  assert.match(refusal(madePickle(storage('0', 7))), short);
  assert.match(refusal(madePickle(storage('0', 2 ** 52))), /has 24 bytes/);
  assert.match(refusal(madePickle(storage('0', 6, 'LongStorage'))), /of I64 want 48/);
});

test('tensors must lie in their storages', () => {
  const cases: readonly (readonly [Parameters<typeof tensor>[0], RegExp])[] = [
    [{ offset: -1 }, /offset -1, wanted a whole number >= 0/],
    [{ offset: 1 }, /its last element is number 6 of storage "0", which has 6/],
    [{ size: [2, 4] }, /its last element is number 6/],
    [{ size: [2, -3] }, /size -3, wanted/],
    [{ stride: [3, -1] }, /stride -1, wanted/],
    [{ stride: [4, 1] }, /its last element is number 6/],
    [{ stride: [1] }, /2 dimensions has 1 strides/],
    [{ size: [2n ** 53n, 1] }, /size 9007199254740992, wanted/],
    [{ size: [2 ** 40, 2 ** 40], stride: [0, 0] }, /its last element/],
    [{ size: [2, 3], stride: [2n ** 52n, 2n ** 52n] }, /its last element/],
    [{ size: Array(65).fill(1), stride: Array(65).fill(1) }, /65 dimensions, wanted at most 64/],
    [{ more: raw(dict(['neg', raw(0x88)])) }, /a tensor with metadata is refused/],
    [{ storage: text('storage') }, /from a string on, wanted 6 or 7/],
  ];
  for (const [made, wanted] of cases) assert.match(refusal(madePickle(tensor(made))), wanted);
  read(tensor({ more: raw('}') }));
});

test('stack and memo stay in bounds', () => {
  const cases: readonly (readonly [PicklePart[], RegExp])[] = [
    [[], /nothing on the stack/],
    [['0'], /nothing on the stack/],
    [['N('], /nothing on the stack/],
    [['N(0'], /nothing on the stack/],
    [['t'], /no mark/],
    [['NN'], /more than one value/],
    [['h', 3], /memo 3 holds nothing/],
    [['j', uint32(0xffffffff)], /memo 4294967295 holds nothing/],
    [['q', 0], /nothing on the stack/],
    [['Nr', uint32(1_000_000)], /memo 1000000 is set, wanted below 1000000/],
    [['Na'], /nothing on the stack/],
    [['N', 'K', 1, 'a'], /None on the stack, wanted a list/],
    [[']NNs'], /a list on the stack, wanted a dict/],
    [['}(Nu'], /a key without a value/],
    [['}]Ns'], /a list as a key/],
    [['](N', 0x90], /wanted a set/],
    [['X', uint32(100), 'abc'], /cut off: 100 bytes wanted, 4 are left/],
    [[0x8d, 255, 255, 255, 255, 255, 255, 255, 255], /cut off/],
    [[0x8b, uint32(0x7fffffff)], /an integer of 2147483647 bytes, wanted at most 16/],
    [[raw(0x8a, 17), 'x'.repeat(17)], /an integer of 17 bytes, wanted at most 16/],
    [[0x95, 0, 0, 0, 0, 0, 0, 0, 1], /a frame of/],
    [['X', uint32(1), 0xff], /not UTF-8/],
  ];
  for (const [parts, wanted] of cases) assert.match(refusal(madePickle(...parts)), wanted);
  assert.match(refusal(raw(0x80, 2, 'N.N')), /1 bytes after STOP/);
  assert.match(refusal(raw('N.')), /protocol 2 to 5/);
  assert.match(refusal(raw(0x80, 6, 'N.')), /protocol 2 to 5/);
  assert.match(refusal(new Uint8Array(0)), /cut off/);
  assert.match(refusal(raw(0x80, 2)), /cut off/);
});

test('deep nesting is read, a flood of values is refused', () => {
  const depth = 200_000;
  const lists = `${']'.repeat(depth)}${'a'.repeat(depth - 1)}`;
  assert.ok(Array.isArray(read(lists)));
  assert.match(refusal(madePickle('('.repeat(depth))), /nothing on the stack/);
  assert.match(refusal(madePickle('}'.repeat(1_000_001))), /more than 1000000 opcodes/);
});

test('keys that a file could choose to collide are refused or not kept', () => {
  const many = (shift: bigint, ...after: PicklePart[]) =>
    Buffer.concat(
      Array.from({ length: 40_000 }, (_, k) => raw(long(BigInt(k + 1) << shift), ...after)),
    );
  const refused = /18446744073709551616 (as a key|in a set), wanted whole numbers/;
  assert.match(refusal(madePickle(0x8f, '(', many(64n), 0x90)), refused);
  assert.match(refusal(madePickle('(', many(64n), 0x91)), refused);
  assert.match(refusal(madePickle('}(', many(64n, 'N'), 'u')), refused);
  const half = raw('G', 0x3f, 0xe0, 0, 0, 0, 0, 0, 0);
  assert.match(refusal(madePickle('}', half, 'Ns')), /0\.5 as a key/);
  assert.match(refusal(madePickle(0x8f, '(]', 0x90)), /a list in a set/);
  const mixed = read('}(', many(32n, 'N'), text('a'), 'K', 1, 'u');
  const { entries, others } = mixed as PickleDict;
  assert.deepEqual([[...entries], others], [[['a', 1]], 40_000]);
});

test('MEMOIZE goes behind as many as there are, whatever their indices', () => {
  const { items } = read('(Nq', 5, 'K', 7, 0x94, 'h', 1, 'h', 5, 't') as PickleTuple;
  assert.deepEqual(items, [null, 7, 7, null]);
});
