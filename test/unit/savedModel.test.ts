/** SavedModels: TensorFlow's answers, and errors for folders without one or with a damaged one. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Graph } from '../../src/graphs/graph.js';
import { openSavedModel as openAfterTrial } from '../../src/graphs/savedModel.js';
import { hashSavedModel } from '../../src/graphs/savedModelFiles.js';
import { SavedModelType } from '../../src/graphs/savedModelProto.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, numSavedModels, numTensors, readFloat32 } from '../../src/tensor/index.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';

/** Made by real TensorFlow with make.py in the same folder. */
const FIXTURE = fileURLToPath(new URL('../fixtures/savedModel', import.meta.url));
const TINY = join(FIXTURE, 'tiny');
const GRAPH = 'saved_model.pb';
const DATA = 'variables/variables.data-00000-of-00001';

interface Answer {
  readonly image: readonly [number, number, number, number];
  readonly shapes: Readonly<Record<string, number[]>>;
  readonly values: Readonly<Record<string, number[]>>;
}

const answers = JSON.parse(readFileSync(join(FIXTURE, 'answers.json'), 'utf8')) as Answer[];
const scratch = mkdtempSync(join(tmpdir(), 'cirkd-saved-model-'));
after(() => rmSync(scratch, { recursive: true }));

/** Skips the trial in a child process, which takes a second, in tests that aren't about it. */
const openSavedModel = (folder: string) => openAfterTrial(folder, { trial: false });

let copies = 0;

/** A copy of the fixture, changed. */
function copied(change: (folder: string) => void): string {
  const folder = join(scratch, String(copies++));
  cpSync(TINY, folder, { recursive: true });
  change(folder);
  return folder;
}

const changedFile = (name: string, change: (bytes: Buffer) => Uint8Array) =>
  copied((folder) => writeFileSync(join(folder, name), change(readFileSync(join(folder, name)))));

/** The same image as in make.py. */
function image(shape: readonly number[]) {
  const count = shape.reduce((product, size) => product * size, 1);
  return float32(
    Float32Array.from({ length: count }, (_, index) => ((index * 37) % 101) / 16 - 3),
    shape,
  );
}

async function refusal(folder: string): Promise<string> {
  let graph: Graph;
  try {
    graph = await openSavedModel(folder);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${(error as Error).stack}`);
    assert.ok(error.message.startsWith(`SavedModel ${folder}: `), error.message);
    return error.message.slice(`SavedModel ${folder}: `.length);
  }
  await graph.close();
  return assert.fail(`${folder} was opened`);
}

test('gives the answers of TensorFlow in Python for any batch and size, without leaks', async () => {
  const before = [numTensors(), numSavedModels()];
  const graph = await openSavedModel(TINY);
  for (const { image: shape, shapes, values } of answers) {
    const input = image(shape);
    const names = ['feature', 'logits'];
    const outputs = await graph.run(input, names);
    for (const [index, output] of outputs.entries()) {
      const name = names[index]!;
      assert.deepEqual([output.dtype, [...output.shape]], ['float32', shapes[name]]);
      const difference = readFloat32(output).map((value, at) =>
        Math.abs(value - values[name]![at]!),
      );
      assert.ok(Math.max(...difference) < 1e-5, `${name}: ${Math.max(...difference)} away`);
      output.dispose();
    }
    input.dispose();
  }
  await graph.close();
  await graph.close();
  assert.deepEqual([numTensors(), numSavedModels()], before);
});

test('inputs and outputs are those of the signature, with unknown sizes as null', async () => {
  const graph = await openSavedModel(TINY);
  const plain = ({ name, dtype, shape }: Graph['inputs'][number]) => ({ name, dtype, shape });
  assert.deepEqual(graph.inputs.map(plain), [
    { name: 'image', dtype: 'float32', shape: [null, null, null, 3] },
  ]);
  assert.deepEqual(graph.outputs.map(plain), [
    { name: 'feature', dtype: 'float32', shape: [null, null, null, 4] },
    { name: 'logits', dtype: 'float32', shape: [null, null, null, 3] },
  ]);
  assert.equal(graph.format, 'saved_model');
  assert.match(graph.runtime, /^tensorflow \d+\.\d+\.\d+ (cpu|gpu)$/);
  await graph.close();
});

test('the hash covers graph, variables and assets with their paths, and nothing else', async () => {
  const hashOf = async (folder: string) => {
    const graph = await openSavedModel(folder);
    await graph.close();
    return graph.hash;
  };
  const hash = await hashOf(TINY);
  assert.match(hash, /^sha256:[0-9a-f]{64}$/);
  const asset = (name: string, text: string) =>
    copied((folder) => {
      mkdirSync(join(folder, 'assets'), { recursive: true });
      writeFileSync(join(folder, 'assets', name), text);
    });
  assert.equal(await hashOf(copied((folder) => writeFileSync(join(folder, 'README'), 'x'))), hash);
  const others = [asset('a', 'b'), asset('ab', ''), asset('a', 'c')];
  const hashes = new Set([hash, ...(await Promise.all(others.map(hashOf)))]);
  assert.equal(hashes.size, 4);
});

test('links in the folder are followed; one to nothing or in a circle is refused by name', async () => {
  const asset = (change: (assets: string) => void) =>
    copied((folder) => {
      mkdirSync(join(folder, 'assets'), { recursive: true });
      change(join(folder, 'assets'));
    });
  const more = join(scratch, 'more');
  mkdirSync(more);
  writeFileSync(join(more, 'words'), 'x');
  const hashes = [
    asset((assets) => symlinkSync(more, join(assets, 'more'))),
    asset((assets) => cpSync(more, join(assets, 'more'), { recursive: true })),
  ].map(hashSavedModel);
  assert.equal(await hashes[0], await hashes[1]);
  const dangling = asset((assets) => symlinkSync(join(scratch, 'none'), join(assets, 'words')));
  assert.match(await refusal(dangling), /^assets\/words: a link to nothing$/);
  const circle = asset((assets) => symlinkSync('.', join(assets, 'again')));
  assert.match(await refusal(circle), /^assets\/again\/.*: folders more than 16 deep$/);
});

test('a missing folder, and one without a graph', async () => {
  assert.match(await refusal(join(scratch, 'none')), /^no such folder, wanted the folder of/);
  assert.match(await refusal(join(TINY, GRAPH)), /ENOTDIR/);
  const text = copied((folder) =>
    renameSync(join(folder, GRAPH), join(folder, 'saved_model.pbtxt')),
  );
  assert.match(
    await refusal(text),
    /^no saved_model.pb in the folder, which holds .*\(saved_model.pbtxt is not read\)$/,
  );
});

test('a graph file truncated anywhere, or random bytes, is refused', async () => {
  const whole = readFileSync(join(TINY, GRAPH));
  for (let hundredth = 0; hundredth < 100; hundredth++) {
    const length = Math.floor((whole.length * hundredth) / 100);
    const folder = changedFile(GRAPH, (bytes) => bytes.subarray(0, length));
    assert.match(await refusal(folder), /^saved_model.pb: /, `${length} bytes`);
  }
  const draws = drawsFor(1, 'test', 0);
  const random = Buffer.from(Array.from({ length: 1000 }, () => draws.integer(256)));
  await refusal(changedFile(GRAPH, () => random));
});

test('flipped bits: refused on opening or running, or harmless; never a crash or another error', async () => {
  let refused = 0;
  for (let round = 0; round < 60; round++) {
    const draws = drawsFor(1, 'test', 1, round);
    const name = [GRAPH, 'variables/variables.index', DATA][round % 3]!;
    const folder = changedFile(name, (bytes) => {
      const at = draws.integer(bytes.length);
      bytes[at] = bytes[at]! ^ (1 << draws.integer(8));
      return bytes;
    });
    try {
      const graph = await openSavedModel(folder);
      await graph.run(image([1, 8, 8, 3]), ['logits']).catch(() => undefined);
      await graph.close();
    } catch (error) {
      assert.ok(error instanceof CheckpointError, `${name}, ${round}: ${(error as Error).stack}`);
      refused += 1;
    }
  }
  assert.ok(refused >= 20, `${refused} of 60 refused: each of the 20 in the data has a checksum`);
});

test('a graph on which TensorFlow aborts the process is refused, and this process survives', async () => {
  // An attribute without its value: the number of outputs of the last but one function call.
  const folder = changedFile(GRAPH, (bytes) => {
    const at = bytes.lastIndexOf('Tout', bytes.lastIndexOf('Tout') - 1) + 'Tout'.length;
    bytes[at] = bytes[at]! ^ 0x40;
    return bytes;
  });
  const [tried] = await Promise.allSettled([openAfterTrial(folder)]);
  const { reason } = tried as PromiseRejectedResult;
  assert.equal(reason?.name, 'CheckpointError');
  assert.match(reason.message, /: TensorFlow aborts on the graph \(SIGABRT: Check failed: /);
  await (await openAfterTrial(TINY)).close();
});

test('variables that are missing, truncated or changed', async () => {
  const without = (name: string) => copied((folder) => rmSync(join(folder, name)));
  const noIndex = await refusal(without('variables/variables.index'));
  assert.match(noIndex, /^variables\/variables.index: no such file, but the graph has 4 variables/);
  assert.match(await refusal(without(DATA)), /^variables\/variables.data-00000-of-00001: no such/);
  const folder = copied((path) => rmSync(join(path, 'variables'), { recursive: true }));
  assert.match(await refusal(folder), /^variables\/variables.index: no such file/);
  for (const kept of [0, 0.3, 0.99]) {
    const cut = changedFile(DATA, (bytes) => bytes.subarray(0, Math.floor(bytes.length * kept)));
    assert.match(await refusal(cut), /Failed to load SavedModel/);
  }
});

test('an op that this TensorFlow lacks is named', async () => {
  const folder = changedFile(GRAPH, (bytes) =>
    Buffer.from(bytes.toString('latin1').replaceAll('Conv2D', 'Conv9D'), 'latin1'),
  );
  assert.match(
    await refusal(folder),
    /Op type not registered 'Conv9D'.*\(saved by TensorFlow 2\.21\.0, this is/,
  );
});

const INFO = { name: 'x:0', dtype: 1, tensorShape: { dim: [-1, -1, -1, 3].map(sized) } };

function sized(size: number) {
  return { size };
}

/** Refused before TensorFlow sees the graph. */
function described(signatureDef: object, tags = ['serve'], saver = 2): Promise<string> {
  const node = [
    { name: 'x', op: 'Placeholder' },
    { name: 'v', op: 'VarHandleOp' },
  ];
  const saverDef = { version: saver };
  const metaGraphs = [{ metaInfoDef: { tags }, graphDef: { node }, saverDef, signatureDef }];
  const message = SavedModelType.fromObject({ savedModelSchemaVersion: 1, metaGraphs });
  return refusal(changedFile(GRAPH, () => SavedModelType.encode(message).finish()));
}

const input = (changed: object, outputs: object = { logits: INFO }) =>
  described({ serve: { inputs: { image: { ...INFO, ...changed } }, outputs } });

const shaped = (...sizes: number[]) => input({ tensorShape: { dim: sizes.map(sized) } });

test('signatures that take no image: errors say what came and what was wanted', async () => {
  assert.match(await described({}), /^no signature given, wanted 'serving_default'/);
  const both = { a: { inputs: {}, outputs: {} }, b: { inputs: {}, outputs: {} } };
  assert.match(await described(both), /^signatures 'a', 'b' given, wanted 'serving_default'/);
  assert.match(
    await described({}, ['train']),
    /tags \[train\] given, wanted one with the tag 'serve'/,
  );
  const two = { inputs: { a: INFO, b: INFO }, outputs: { logits: INFO } };
  assert.match(await described({ s: two }), /inputs \[a, b\] given, wanted one, the image$/);
  assert.match(await shaped(-1, 512, 512), /shape \[\?, 512, 512\] given, wanted images/);
  assert.match(await shaped(-1, 64, 64, 1), /shape \[\?, 64, 64, 1\] given/);
  assert.match(await input({ dtype: 7 }), /input 'image': string given, wanted float32, /);
  assert.match(await input({ dtype: 55 }), /input 'image': type 55 given/);
  assert.match(await input({ name: 'y:0' }), /'y:0' given, wanted the name of a tensor/);
  assert.match(await input({ name: '' }), /no dense tensor given/);
  assert.match(await input({}, {}), /no output given, wanted the logits$/);
  assert.match(await shaped(-2, -1, -1, 3), /a size of -2 given, wanted -1 \(any\) or more/);
});

test('variables in the format of TensorFlow 1 are refused, naming its number', async () => {
  const images = { s: { inputs: { image: INFO }, outputs: { logits: INFO } } };
  assert.match(await described(images, ['serve'], 1), /saver version 1 given, wanted 2: save it/);
});

test('a missing output, and an image that the graph does not accept', async () => {
  const graph = await openSavedModel(TINY);
  const given = image([1, 8, 8, 3]);
  await assert.rejects(
    graph.run(given, ['scores']),
    /'scores': not of the graph, which has feature,/,
  );
  const four = image([1, 8, 8, 4]);
  await assert.rejects(graph.run(four, ['logits']), /input depth must be evenly divisible/);
  for (const tensor of [given, four]) tensor.dispose();
  await graph.close();
});
