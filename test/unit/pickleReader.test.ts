/** Pickles that don't belong to a checkpoint are refused by name; nothing in them is executed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { ForeignName, ForeignObject } from '../../src/wire/torch/foreignObjects.js';
import type { PickleRules } from '../../src/wire/torch/pickle/machine.js';
import { readPickle } from '../../src/wire/torch/pickle/reader.js';
import {
  type PickleDict,
  PickleSet,
  type PickleTuple,
} from '../../src/wire/torch/pickle/values.js';
import { TorchRules } from '../../src/wire/torch/torchRules.js';
import { zipStorages } from '../../src/wire/torch/zipFile.js';
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
} from '../support/modelFiles/madePickle.js';

const rules = new TorchRules(
  zipStorages((key) => (key === '0' ? floats(0, 1, 2, 3, 4, 5) : undefined)),
);

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
  }
  assert.deepEqual(read('C', 2, 'ab'), new Uint8Array([97, 98]));
  assert.deepEqual(read(0x96, 1, 0, 0, 0, 0, 0, 0, 0, 'z'), new Uint8Array([122]));
});

test('a list that contains itself is read', () => {
  const list = read(']q', 0, 'h', 0, 'a') as unknown[];
  assert.equal(list[0], list);
});

test('names that are there to run code are refused, called or not', () => {
  const names: readonly (readonly [module: string, name: string])[] = [
    ['os', 'system'],
    ['posix', 'system'],
    ['nt', 'system'],
    ['builtins', 'eval'],
    ['builtins', '__import__'],
    ['__builtin__', 'execfile'],
    ['subprocess', 'Popen'],
    ['commands', 'getoutput'],
    ['importlib', 'import_module'],
    ['_posixsubprocess', 'fork_exec'],
    ['builtins', 'open'],
    ['runpy', 'run_path'],
    ['pickle', 'loads'],
    ['os.path', 'Path'],
    ['torch._utils.', '_rebuild_tensor_v2'],
    ['torch.serialization', 'os.system'],
    ['torch.utils.cpp_extension', 'subprocess.Popen'],
    ['', 'constructor'],
    ['a b', 'C'],
  ];
  for (const [module, name] of names) {
    const asLines = `c${module}\n${name}\n`;
    const wanted = `global ${JSON.stringify(`${module}.${name}`)} is refused`;
    assert.ok(refusal(madePickle(asLines)).includes(wanted), name);
    assert.ok(refusal(madePickle(asLines, command, 0x85, 'R')).includes(wanted), name);
    const stacked = madePickle(text(module), text(name), 0x93, command, 0x85, 'R');
    assert.ok(refusal(stacked).includes(wanted), name);
    const built = madePickle('(', command, `i${module}\n${name}\n`);
    assert.ok(refusal(built).includes(wanted), name);
    assert.ok(refusal(madePickle('(', asLines, command, 'o')).includes(wanted), name);
    assert.ok(refusal(madePickle(asLines, command, 0x85, 0x81)).includes(wanted), name);
  }
  assert.match(refusal(madePickle(`c${'x'.repeat(600)}\ny\n`)), /name without an end: "xxxx/);
  assert.match(refusal(madePickle('cos\nsystem')), /name without an end/);
  assert.match(refusal(madePickle(text('os'), 'K', 1, 0x93)), /named by a string and a number/);
  assert.match(refusal(madePickle(text('x'.repeat(129)), text('Y'), 0x93)), /129 letters/);
});

test('a function of another library may be named, and is never called', () => {
  const names = ['torch\nload', 'torch.hub\nload', '__main__\nrun', 'numpy.testing\nrunstring'];
  for (const lines of names) {
    const name = lines.replace('\n', '.');
    const wanted = `a call of ${JSON.stringify(name)} is refused`;
    const called = [
      [`c${lines}\n`, command, 0x85, 'R'],
      ['(', command, `i${lines}\n`],
      ['(', `c${lines}\n`, command, 'o'],
    ];
    for (const parts of called) assert.ok(refusal(madePickle(...parts)).includes(wanted), name);
    assert.ok(read(`c${lines}\n`) instanceof ForeignName);
    // __new__ is refused for a function.
    assert.ok(read(`c${lines}\n)`, 0x81) instanceof ForeignObject);
    assert.ok(refusal(madePickle(`c${lines}\n}b`)).includes('attributes of'), name);
  }
});

test("other names of Python's standard library may be held, and only data classes called", () => {
  const names = [
    ...['functools\nreduce', 'operator\nattrgetter', 'types\nFunctionType', 'builtins\nprint'],
    ...['collections\nOrderedDict.fromkeys', 'collections\n__proto__', 'typing\nAny', 'enum\nEnum'],
    ...['threading\nThread', 'multiprocessing.process\nBaseProcess', 'asyncio\nrun'],
  ];
  for (const lines of names) {
    const global = `c${lines}\n`;
    assert.ok(read(global) instanceof ForeignName, lines);
    const wanted = `a call of ${JSON.stringify(lines.replace('\n', '.'))} is refused`;
    const called: readonly PicklePart[][] = [
      [global, command, 0x85, 'R'],
      ['(', command, `i${lines}\n`],
      ['(', global, command, 'o'],
      [global, command, 0x85, 0x81],
      [global, command, 0x85, '}', 0x92],
      ['ccopyreg\n__newobj__\n', global, command, 0x86, 'R'],
      ['ccopy_reg\n_reconstructor\n', global, 'c__builtin__\nobject\nN', 0x87, 'R'],
      ['cnumpy.core.multiarray\n_reconstruct\n', global, command, 0x86, 'R'],
    ];
    for (const parts of called) {
      const message = refusal(madePickle(...parts));
      assert.ok(message.endsWith(wanted), message);
    }
  }
  const data: readonly PicklePart[][] = [
    ['clogging\ngetLogger\n', text('a'), 0x85, 'R'],
    ['cipaddress\nIPv4Address\nK', 1, 0x85, 'R'],
    ['chttp\nHTTPStatus\nK', 200, 0x85, 'R'],
    ['csignal\nSignals\nK', 2, 0x85, 'R'],
    ['cdataclasses\n_MISSING_TYPE\n)', 0x81],
    ['coperator\ngetitem\nctyping\nOptional\nc__builtin__\nint\n', 0x86, 'R'],
  ];
  const made = data.map((parts) => (read(...parts) as ForeignObject).name);
  assert.deepEqual(made, [
    ...['logging.getLogger', 'ipaddress.IPv4Address', 'http.HTTPStatus', 'signal.Signals'],
    ...['dataclasses._MISSING_TYPE', 'typing.Optional'],
  ]);
  const item = ['coperator\ngetitem\n}', command, 0x86, 'R'];
  assert.match(refusal(madePickle(...item)), /getitem: wanted a class and its parameters/);
});

test('the result of a call is never called, and of attributes only classes are', () => {
  const getattr = (module: string, owner: string, name: string) => [
    ...[`c${module}\ngetattr\n`, owner, text(name), 0x86, 'R'],
  ];
  for (const module of ['builtins', '__builtin__']) {
    const inner = getattr(module, 'cmine\nOuter\n', 'Inner');
    assert.equal((read(...inner, ')', 0x81) as ForeignObject).name, 'mine.Outer.Inner');
    const refused: readonly (readonly [PicklePart[], string])[] = [
      [getattr(module, 'cmine\nOuter\n', 'run'), '"mine.Outer.run"'],
      [getattr(module, 'cmine\nouter\n', 'Inner'), '"mine.outer.Inner"'],
      [getattr(module, 'cpathlib\nPath\n', 'Write'), '"pathlib.Path.Write"'],
      [getattr(module, 'cmine\nOuter\n)R', 'Inner'), 'an object of "mine.Outer.Inner"'],
    ];
    for (const [callee, name] of refused) {
      const message = refusal(madePickle(...callee, command, 0x85, 'R'));
      assert.ok(message.endsWith(`a call of ${name} is refused`), message);
    }
  }
  const partial = ['cfunctools\npartial\n', 'cmine\nrun\n', 0x85, 'R'];
  assert.match(
    refusal(madePickle(...partial, ')R')),
    /a call of an object of "functools\.partial"/,
  );
  assert.match(refusal(madePickle('cbuiltins\ngetattr\n', command, command, 0x86, 'R')), /getattr/);
});

test('a name is shown in quotes, short and without control characters', () => {
  const message = refusal(madePickle(`c\u001b[2J${'x'.repeat(400)}\ny\n`));
  assert.ok(!message.includes('\u001b') && message.length < 300, message);
});

test('opcodes that refer outside the file are refused by name', () => {
  const cases: readonly (readonly [PicklePart[], string])[] = [
    [[0x82, 1], 'EXT1'],
    [[0x83, 1, 1], 'EXT2'],
    [[0x84, 1, 1, 1, 1], 'EXT4'],
    [[0x97], 'NEXT_BUFFER'],
    [['N', 0x98], 'READONLY_BUFFER'],
    [['Pid\n'], 'PERSID'],
    [[0x80, 2], 'PROTO'],
    [[0xff], '0xff'],
  ];
  for (const [parts, name] of cases) {
    assert.match(refusal(madePickle(...parts)), new RegExp(`opcode ${name} is refused$`));
  }
});

test('the text protocol, and strings of Python 2', () => {
  const cases: readonly (readonly [PicklePart[], unknown])[] = [
    [['I01\n'], true],
    [['I00\n'], false],
    [['I-17\n'], -17],
    [['L119547037146038801333356L\n'], 0x1950a86a20f9469cfc6cn],
    [['L7\n'], 7],
    [['F1.5e-3\n'], 0.0015],
    [['F-inf\n'], -Infinity],
    [["S'it\\'s \\x41\\n\\101'\n"], "it's A\nA"],
    [["S'\\xc3\\xa9'\n"], 'é'],
    [["S'\\xff'\n"], new Uint8Array([255])],
    [['Va\\u00e9\xe9\\U0001F600\n'], 'aéé\u{1F600}'],
    [['U', 2, 0xc3, 0xa9], 'é'],
    [['U', 1, 0xff], new Uint8Array([255])],
    [['T', uint32(2), 'ab'], 'ab'],
    [
      ['(K', 1, 'K', 2, 'l'],
      [1, 2],
    ],
    [['Np3\n0g3\n'], null],
    [[']2a0K', 5], 5],
  ];
  for (const [parts, wanted] of cases) assert.deepEqual(read(...parts), wanted);
  assert.equal(readPickle(raw('I7\n.'), rules), 7);
  const made = read('(', text('a'), 'K', 1, 'd') as PickleDict;
  assert.deepEqual([...made.entries], [['a', 1]]);
  const faults: readonly (readonly [PicklePart[], RegExp])[] = [
    [['I0x10\n'], /an integer written as "0x10"/],
    [[`L${'9'.repeat(600)}L\n`], /an integer written as/],
    [['F1e\n'], /a float written as "1e"/],
    [['I5'], /a line without an end/],
    [["Sx'\n"], /a string without quotes/],
    [['V\\U00110000\n'], /a character numbered 1114112/],
    [['T', 0xff, 0xff, 0xff, 0xff], /a string of -1 bytes/],
    [['Np-1\n'], /a memo written as "-1"/],
    [['(Nd'], /a key without a value/],
    [['(o'], /OBJ without a class/],
  ];
  for (const [parts, wanted] of faults) assert.match(refusal(madePickle(...parts)), wanted);
});

test('calls and attributes of the closed list', () => {
  const calls: readonly (readonly [PicklePart[], RegExp])[] = [
    [['ctorch\nFloatStorage\n)R'], /a call of "torch\.FloatStorage" is refused/],
    [['ctorch\nTensor\n)R'], /a call of "torch\.Tensor" is refused/],
    [['ctorch\nfloat32\n)R'], /a call of "torch\.float32" is refused/],
    [[command, ')R'], /a call of a string is refused/],
    [
      ['ccollections\nOrderedDict\n', 'N', 0x85, 'R'],
      /OrderedDict: wanted no arguments, or a list/,
    ],
    [['ccollections\nOrderedDict\n', ']Na', 0x85, 'R'], /OrderedDict: None among the pairs/],
    [['ccollections\nOrderedDict\n', 'NR'], /arguments: None given, wanted a tuple/],
    [['ctorch\nSize\n)R'], /torch\.Size: wanted a tuple/],
    [['cmine\nNet\n)N', 0x92], /keywords: None given, wanted a dict/],
    [['}}b'], /attributes of a dict are refused/],
    [['ccollections\nOrderedDict\n)RNb'], /attributes of an OrderedDict are refused/],
    [[tensor(), '}b'], /attributes of a tensor are refused/],
    [[tensor(), '(', storage('0', 6), 'NNtb'], /attributes of a tensor are refused/],
    [['ctorch._utils\n_rebuild_parameter\n(N', 0x88, 'NtR'], /_rebuild_parameter: wanted a tensor/],
    [['ctorch._utils\n_rebuild_tensor_v2\n)R'], /_rebuild_tensor: 0 arguments/],
    [['ctorch._utils\n_rebuild_tensor\n)R'], /wanted 4 to 4 from a storage on/],
  ];
  for (const [parts, wanted] of calls) assert.match(refusal(madePickle(...parts)), wanted);
  const pairs = read(
    ...['ccollections\nOrderedDict\n', '](](', text('b'), 'K', 1, 'e(', text('a')],
    ...['K', 2, 'te', 0x85, 'R'],
  );
  assert.deepEqual(
    [...(pairs as PickleDict).entries],
    [
      ['b', 1],
      ['a', 2],
    ],
  );
});

test('persistent ids', () => {
  const wanted = /persistent id: (wanted|None, wanted|a string, wanted)/;
  for (const part of [raw('NQ'), raw(text('storage'), 'Q'), raw(')Q'), storage('0', -1)]) {
    assert.match(refusal(madePickle(part)), wanted);
  }
  assert.match(refusal(madePickle(storage('0', 2n ** 63n))), wanted);
  const [module, net] = [text('module'), 'cmine\nNet\n'];
  assert.match(refusal(madePickle('(', module, net, text('0'), 'NNtQ')), wanted);
  // In the zip format; only the one before 1.6 has module classes.
  assert.match(refusal(madePickle('(', module, net, 'NNtQ')), wanted);
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
    [{ storage: text('storage') }, /from a string on, wanted 6 to 7/],
  ];
  for (const [made, wanted] of cases) assert.match(refusal(madePickle(tensor(made))), wanted);
  read(tensor({ more: raw('}') }));
});

test('stack and memo are bounded', () => {
  const cases: readonly (readonly [PicklePart[], RegExp])[] = [
    [[], /nothing on the stack/],
    [['0'], /nothing on the stack/],
    [['N('], /nothing on the stack/],
    [['N(00'], /nothing on the stack/],
    [['t'], /no mark/],
    [['NN'], /more than one value/],
    [['h', 3], /memo 3 holds nothing/],
    [['j', uint32(0xffffffff)], /memo 4294967295 holds nothing/],
    [['q', 0], /nothing on the stack/],
    [['Nr', uint32(1_000_000)], /memo 1000000 is set, wanted at most 8 at this place/],
    [['Na'], /nothing on the stack/],
    [['N', 'K', 1, 'a'], /None on the stack, wanted a list/],
    [[']NNs'], /a list on the stack, wanted a dict/],
    [['}(Nu'], /a key without a value/],
    [['}]Ns'], /a list as a key/],
    [['](N', 0x90], /wanted a set/],
    [['X', uint32(100), 'abc'], /cut off: 100 bytes wanted, 4 are left/],
    [[0x8d, 255, 255, 255, 255, 255, 255, 255, 255], /cut off/],
    [[0x8b, uint32(0x7fffffff)], /an integer of 2147483647 bytes, wanted at most 256/],
    [[0x95, 0, 0, 0, 0, 0, 0, 0, 1], /a frame of/],
    [['X', uint32(1), 0xff], /not UTF-8/],
  ];
  for (const [parts, wanted] of cases) assert.match(refusal(madePickle(...parts)), wanted);
  assert.match(refusal(raw(0x80, 2, 'N.N')), /1 bytes after STOP/);
  assert.match(refusal(raw(0x80, 6, 'N.')), /protocol 6, wanted one of 0 to 5/);
  assert.match(refusal(new Uint8Array(0)), /cut off/);
  assert.match(refusal(raw(0x80, 2)), /cut off/);
});

test('deep nesting is read, too many values are refused', () => {
  const depth = 200_000;
  const lists = `${']'.repeat(depth)}${'a'.repeat(depth - 1)}`;
  assert.ok(Array.isArray(read(lists)));
  assert.match(refusal(madePickle('('.repeat(depth))), /nothing on the stack/);
  assert.match(refusal(madePickle('N0'.repeat(4_000_000))), /more than 8000000 opcodes/);
});

test('a loss history of more than a million floats is read', () => {
  const half = 'G\x3f\xe0\0\0\0\0\0\0';
  const history = read('](', half.repeat(1_000_001), 'e') as unknown[];
  assert.deepEqual([history.length, history.at(-1)], [1_000_001, 0.5]);
});

test('keys that a file could choose to make collide are not kept', () => {
  const many = (shift: bigint, ...after: PicklePart[]) =>
    Buffer.concat(
      Array.from({ length: 40_000 }, (_, k) => raw(long(BigInt(k + 1) << shift), ...after)),
    );
  assert.ok(read(0x8f, '(', many(64n), 0x90) instanceof PickleSet);
  assert.ok(read('(', many(64n), 0x91) instanceof PickleSet);
  const half = raw('G', 0x3f, 0xe0, 0, 0, 0, 0, 0, 0);
  assert.equal((read('}', half, 'Ns') as PickleDict).others, 1);
  assert.match(refusal(madePickle(0x8f, '(]', 0x90)), /a list in a set/);
  assert.match(refusal(madePickle('}', 0x8f, 'Ns')), /a set as a key/);
  assert.equal((read('}(', 0x91, 'Ns') as PickleDict).others, 1);
  for (const shift of [32n, 64n]) {
    const mixed = read('}(', many(shift, 'N'), text('a'), 'K', 1, 'u');
    const { entries, others } = mixed as PickleDict;
    assert.deepEqual([[...entries], others], [[['a', 1]], 40_000]);
  }
});

test('MEMOIZE uses the number of entries as its index, whatever their indices', () => {
  const { items } = read('(Nq', 5, 'K', 7, 0x94, 'h', 1, 'h', 5, 't') as PickleTuple;
  assert.deepEqual(items, [null, 7, 7, null]);
});
