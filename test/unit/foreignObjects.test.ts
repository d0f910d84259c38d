/** Objects that trainers save besides weights become names; unsupported tensors are refused if they are needed. */
// @own-process: works in a folder of its own
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { describeNotRead } from '../../src/wire/torch/foreignObjects.js';
import { readTorchFile } from '../../src/wire/torch/torchCheckpoint.js';
import {
  dict,
  madePickle,
  madeTorchFile,
  type PicklePart,
  raw,
  sizes,
  storage,
  tensor,
  text,
} from '../support/modelFiles/madePickle.js';

const GOLDEN = new URL('../golden/data/checkpoints/', import.meta.url);
const golden = (name: string) => readFileSync(new URL(name, GOLDEN));

const here = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'cirkd-foreign-'));
after(() => {
  process.chdir(here);
  rmSync(folder, { recursive: true });
});

function refusal(pickle: Uint8Array, wrapper?: string): string {
  try {
    readTorchFile(madeTorchFile(pickle), wrapper);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
    return error.message;
  }
  return assert.fail('was read');
}

/** The note on a file with `parts` under a key besides its state dict. */
function beside(...parts: PicklePart[]): string | null {
  const root = dict(['state_dict', dict(['w', tensor()])], ['other', raw(...parts)]);
  const { tensors, notRead } = readTorchFile(madeTorchFile(madePickle(root)));
  assert.deepEqual([...tensors.keys()], ['w']);
  return describeNotRead(notRead);
}

const DTYPE = raw('cnumpy\ndtype\n', text('f8'), 0x89, 0x88, 0x87, 'R(K', 3, text('<'), 'NNNtb');
const ARRAY: PicklePart[] = [
  ...['cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK', 0, 0x85, 'C', 1, 'b', 0x87],
  ...['R(K', 1, 'K', 2, 0x85, DTYPE, 0x89, 'C', 2, 'ab', 'tb'],
];
const NAMESPACE = raw('cargparse\nNamespace\n)', 0x81, dict(['lr', raw('K', 1)]), 'b');

test('plain data besides the weights cause no note', () => {
  assert.equal(beside('(', text('a'), 'K', 1, 'N', 0x88, ']t'), null);
  assert.equal(beside('ctorch\nSize\n', sizes(1, 2), 0x85, 'R'), null);
  assert.equal(beside('ctorch\nfloat32\n'), null);
  assert.equal(beside('ccollections\ndefaultdict\n', 'cbuiltins\nlist\n', 0x85, 'R'), null);
  assert.equal(beside('c__builtin__\nset\n](K', 1, 'e', 0x85, 'R'), null);
  const encoded = ['c_codecs\nencode\n', text('\u0000'), text('latin1'), 0x86, 'R'];
  assert.equal(beside(...encoded), null);
});

test('objects are listed by class, without their parts', () => {
  const cases: readonly (readonly [PicklePart[], string])[] = [
    [[NAMESPACE], 'argparse.Namespace (1 object besides the weights)'],
    [
      ['cnumpy.core.multiarray\nscalar\n', DTYPE, 'U', 8, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0x86, 'R'],
      'numpy.float64 (1 object besides the weights)',
    ],
    [ARRAY, 'numpy.ndarray (1 object besides the weights)'],
    [
      ['ccopy_reg\n_reconstructor\ncmine\nArgs\nc__builtin__\nobject\nN', 0x87, 'R}b'],
      'mine.Args (1 object besides the weights)',
    ],
    [['(', text('x'), 'imine\nOld\n'], 'mine.Old (1 object besides the weights)'],
    [['cmine\nColour\nK', 2, 0x85, 'R'], 'mine.Colour (1 object besides the weights)'],
    [['cmine\nOuter.Inner\n)}', 0x92], 'mine.Outer.Inner (1 object besides the weights)'],
    [
      ['cfunctools\npartial\ncmine\nwarmup\n', 0x85, 'R(cmine\nwarmup\n)}Ntb'],
      'functools.partial (1 object besides the weights)',
    ],
    [
      ['ccollections\ndeque\n)R](K', 1, 'e0(', NAMESPACE, 'e'],
      'collections.deque (1 object besides the weights)',
    ],
    [
      ['cpathlib\nPosixPath\n', text('a'), 0x85, 'R'],
      'pathlib.PosixPath (1 object besides the weights)',
    ],
    [['ctorch\ndevice\n', text('cuda'), 0x85, 'R'], 'torch.device (1 object besides the weights)'],
    [['cbuiltins\nprint\n'], 'builtins.print (1 object besides the weights)'],
    [['ctyping\nAny\n'], 'typing.Any (1 object besides the weights)'],
    // As in OmegaConf: a class as an attribute. An uncallable function is reported wherever it is, first.
    [
      ['cmine\nConfig\n)', 0x81, dict(['type', raw('ctyping\nAny\n')]), 'b'],
      'mine.Config (1 object besides the weights)',
    ],
    [
      ['ca\nConfig\n)', 0x81, dict(['hook', raw('ctempfile\nmkdtemp\n')]), 'b'],
      'tempfile.mkdtemp, a.Config (2 objects besides the weights)',
    ],
    [['cmine\nwarmup\n'], 'mine.warmup (1 object besides the weights)'],
    [
      ['(', NAMESPACE, 'cmine\nB\n)', 0x81, 'cmine\nA\n)', 0x81, NAMESPACE, 't'],
      'argparse.Namespace, mine.A, mine.B (4 objects besides the weights)',
    ],
  ];
  for (const [parts, wanted] of cases) assert.equal(beside(...parts), wanted);
  const many = Array.from({ length: 12 }, (_, index) => `cmine\nC${10 + index}\n)\x81`);
  assert.match(beside('(', ...many, 't')!, /^mine\.C10, .*, mine\.C17 and 4 more \(12 objects/);
});

test('an object of a dict class may be the state dict', () => {
  for (const made of ['ceasydict\nEasyDict\n)\x81', 'cmine\nWeights\n)R']) {
    const state = raw(made, '(', text('w'), tensor(), 'u}b');
    const whole = readTorchFile(madeTorchFile(madePickle(state)));
    assert.deepEqual([...whole.tensors.keys()], ['w']);
    const under = readTorchFile(madeTorchFile(madePickle(dict(['mine', state]))), 'mine');
    assert.deepEqual([...under.tensors.keys()], ['w']);
  }
});

test('weights inside an object are refused with advice', () => {
  const net = raw('cmine\nNet\n)', 0x81, dict(['_parameters', dict(['w', tensor()])]), 'b');
  const advice = 'which only Python with its code can make; save the weights alone: ';
  const wanted = (name: string) =>
    `an object of ${JSON.stringify(name)}, ${advice}torch.save(model.state_dict(), FILE)`;
  assert.equal(refusal(madePickle(net)), `the checkpoint: ${wanted('mine.Net')}`);
  const under = madePickle(dict(['epoch', raw('K', 1)], ['model', net]));
  assert.equal(refusal(under), `"model": ${wanted('mine.Net')}`);
  assert.equal(refusal(under, 'model'), `"model": ${wanted('mine.Net')}`);
  assert.match(refusal(madePickle('cmine\nNet\n')), /^the checkpoint: an object of "mine\.Net"/);
});

test('tensors of unsupported kinds are refused only if they are needed', () => {
  const quantised = raw(
    ...['ctorch._utils\n_rebuild_qtensor\n(', storage('0', 6), 'K', 0, sizes(6), sizes(1)],
    ...['N', 0x89, 'NtR'],
  );
  const args = raw(storage('0', 6), 'K', 0, sizes(6), sizes(1), 0x89, 'N');
  const typed = (type: string) =>
    raw(
      ...['ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n', type],
      ...['(', args, 't}tR'],
    );
  const third = (dtype: string, id = storage('0', 24, 'ByteStorage')) =>
    raw(
      ...['ctorch._utils\n_rebuild_tensor_v3\n(', id, 'K', 0, sizes(6), sizes(1), 0x89, 'N'],
      ...[`ctorch\n${dtype}\n`, 'tR'],
    );
  const negated = tensor({ more: raw(dict(['neg', raw(0x88)])) });
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [quantised, 'torch._utils._rebuild_qtensor'],
    [raw('ctorch._utils\n_rebuild_sparse_tensor\n(N(NNttR'), 'torch._utils._rebuild_sparse_tensor'],
    [raw('cmine\n_rebuild\n', tensor(), 0x85, 'R'), 'mine._rebuild'],
    [typed('cmine\nMasked\n'), 'mine.Masked'],
    [third('float8_e5m2'), 'torch.float8_e5m2'],
    [negated, 'torch.Tensor, conjugated or negated'],
    [
      raw('ctorch._utils\n_rebuild_parameter\n(', quantised, 0x88, 'NtR'),
      'torch._utils._rebuild_qtensor',
    ],
  ];
  for (const [made, name] of cases) {
    assert.equal(
      refusal(madePickle(dict(['x', tensor()], ['y', made]))),
      `tensor "y": a ${JSON.stringify(name)}, which is not read; wanted plain tensors of floats, integers or booleans`,
    );
  }
  const [one] = cases[0]!;
  const root = dict(['model', dict(['x', tensor()])], ['quantised', one]);
  const { tensors, notRead } = readTorchFile(madeTorchFile(madePickle(root)));
  assert.deepEqual([...tensors.keys()], ['x']);
  assert.match(describeNotRead(notRead)!, /^torch\._utils\._rebuild_qtensor \(1 object/);
  // Tensors with attributes, and untyped storages with a dtype, are supported.
  const bytes = { '0': new Uint8Array(24) };
  for (const made of [typed('ctorch\nTensor\n'), third('float32')]) {
    const file = madeTorchFile(madePickle(dict(['x', made])), bytes);
    assert.equal(readTorchFile(file).tensors.get('x')!.dtype, 'F32');
  }
});

test('hostile files leave nothing behind, read or refused', () => {
  process.chdir(folder);
  const names = readdirSync(GOLDEN).filter((name) => name.startsWith('malicious_'));
  assert.equal(names.length, 4);
  for (const name of names) {
    assert.throws(() => readTorchFile(golden(name)), CheckpointError);
  }
  const command = text('touch pwned');
  const hostile: readonly PicklePart[][] = [
    ['cposix\nsystem\n', command, 0x85, 'R'],
    ['(', command, 'iposix\nsystem\n'],
    ['cmine\nSystem\n', command, 0x85, 'R'],
    ['cmine\nSystem\n)', 0x81, dict(['__setstate__', raw('cmine\nsystem\n')]), 'b}b'],
    ['cbuiltins\ngetattr\n', 'cmine\nSystem\n', text('run'), 0x86, 'R', command, 0x85, 'R'],
  ];
  const outcomes = hostile.map((parts) => {
    try {
      beside(...parts);
      return 'read';
    } catch (error) {
      assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
      return 'refused';
    }
  });
  assert.deepEqual(outcomes, ['refused', 'refused', 'read', 'read', 'refused']);
  for (const name of ['pwned', 'cirkd_golden_pwned.txt']) assert.equal(existsSync(name), false);
  process.chdir(here);
});
