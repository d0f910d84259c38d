/** `cirkd import` of state dicts written by other programs, and of backbones alone. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { command } from '../../services/cli/commands/import.js';
import { type ImportValues, importModel } from '../../services/cli/import/importModel.js';
import { loadStartWeights } from '../../services/student/startWeights.js';
import { readModelFile, writeModelFile } from '../../src/models/files/modelFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import { namedCount, namedFloats } from '../../src/models/namedValues.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { OFFICIAL_NORMALISATION } from '../../src/models/normalise.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { float32Tensor, type NamedTensor, type NamedTensors } from '../../src/wire/safetensors.js';
import { writeTorchCheckpoint } from '../../src/wire/torch/torchWriter.js';
import { floatsOf, importFault } from '../support/modelFiles/importRuns.js';
import { writeUntrainedModel } from '../support/modelFiles/untrainedModel.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-foreign-'));
after(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

const MODEL = at('model.safetensors');
writeUntrainedModel(MODEL, 0.125);
const { description, tensors } = readModelFile(readFileSync(MODEL));

const renamed = (rename: (name: string) => string, dict: NamedTensors = tensors) =>
  new Map([...dict].map(([name, tensor]) => [rename(name), tensor]));

/** The file that would be written, and the notes before its own line. */
async function made(file: string, values: ImportValues = {}) {
  const { bytes, lines } = await importModel([file], values, 'F32');
  return { made: floatsOf(readModelFile(bytes).tensors), lines };
}

test("wrappers' prefixes are removed, with a note", async () => {
  for (const prefix of [
    '_orig_mod.',
    'module._orig_mod.',
    'model.',
    'net.',
    'student.',
    'my.own.',
  ]) {
    const file = at('wrapped.pth');
    writeFileSync(file, writeTorchCheckpoint(renamed((name) => prefix + name)));
    assert.deepEqual(await made(file), {
      made: floatsOf(tensors),
      lines: [`prefix removed: '${prefix}'`],
    });
  }
  assert.deepEqual((await made(MODEL)).lines, []);
});

test('--strip-prefix selects one of two networks and reports how many names belong to the other', async () => {
  const [student, teacher] = ['student.', 'teacher.'].map((one) =>
    renamed(
      (name) => one + name,
      new Map([...tensors].filter(([name]) => one === 'student.' || name.startsWith('head.'))),
    ),
  );
  const file = at('lightning.pth');
  writeFileSync(file, writeTorchCheckpoint(new Map([...student!, ...teacher!])));
  const out = at('one.safetensors');
  const refused = await importFault(file, '--out', out);
  assert.equal(refused.exitCode, 5);
  assert.match(refused.message, /with and without the prefix 'student\.'.*--strip-prefix/);
  const one = await made(file, { 'strip-prefix': 'student.' });
  const line = `prefix removed: 'student.'; ${teacher!.size} names without it not used`;
  assert.ok(one.lines[0]?.startsWith(line), one.lines[0]);
  assert.deepEqual(one.made, floatsOf(tensors));
  const other = await importFault(file, '--out', out, '--strip-prefix', 'ema.');
  assert.equal(other.exitCode, 5);
  assert.match(other.message, /no name begins with 'ema\.', they are student\.pretrained/);
});

test("batch counts may be missing in a state dict, but not in this project's model files", async () => {
  const isCount = (name: string) => name.endsWith('num_batches_tracked');
  const counts = [...tensors.keys()].filter(isCount);
  assert.ok(counts.length > 50, `${counts.length} counts`);
  const none = new Map([...tensors].filter(([name]) => !isCount(name)));
  const some = new Map([...tensors].filter(([name]) => name !== counts[3]));
  const out = at('counted.safetensors');
  for (const dict of [none, some]) {
    writeFileSync(at('uncounted.pth'), writeTorchCheckpoint(dict));
    assert.equal(await command.run([at('uncounted.pth'), '--out', out]), 0);
    const made = readModelFile(readFileSync(out)).tensors;
    assert.deepEqual([...made.keys()], [...tensors.keys()]);
    assert.equal(namedCount(counts[3]!, made.get(counts[3]!)!), 0);
    writeFileSync(at('uncounted.safetensors'), writeModelFile(description, dict));
    const own = await importFault(at('uncounted.safetensors'), '--out', out);
    assert.equal(own.exitCode, 5);
    assert.match(own.message, /weights: missing: \S*num_batches_tracked/);
  }
});

test('running statistics stay in single precision and may exceed the range of a half', async () => {
  const statistic = [...tensors.keys()].find((name) => name.endsWith('running_var'))!;
  const variance = new Float32Array(tensors.get(statistic)!.shape[0]!).fill(84_507.07);
  const varied = new Map(tensors).set(statistic, float32Tensor(variance, [variance.length]));
  writeFileSync(at('varied.safetensors'), writeModelFile(description, varied));
  const out = at('varied-half.safetensors');
  const half16 = ['--precision', 'fp16'];
  assert.equal(await command.run([at('varied.safetensors'), '--out', out, ...half16]), 0);
  const kept = readModelFile(readFileSync(out)).tensors.get(statistic)!;
  assert.deepEqual(namedFloats(statistic, kept), variance);
  // A copy in single precision is the same teacher.
  const digestOf = (file: string) => {
    const teacher = TeacherNetwork.load(readFileSync(file));
    teacher.dispose();
    return teacher.info.digest;
  };
  assert.equal(await command.run([out, '--out', at('varied-copy.safetensors')]), 0);
  assert.equal(digestOf(out), digestOf(at('varied-copy.safetensors')));
});

/** As in CIRKD's code: flat names without the network's prefix. */
function backboneFile(): string {
  const prefix = 'pretrained.net.';
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  const dict = new Map<string, NamedTensor>(
    own.map(([name, tensor]) => [`module.${name.slice(prefix.length)}`, tensor]),
  );
  dict.set('module.classifier.1.bias', float32Tensor(new Float32Array(2), [2]));
  writeFileSync(at('backbone.pth'), writeTorchCheckpoint(dict));
  return at('backbone.pth');
}

const START: ImportValues = { model: 'deeplab_mobile', classes: 'camvid', width: '0.125' };

test('a backbone with a random head gives the initial weights of a student with that seed', async () => {
  const file = backboneFile();
  const start = (seed: string) =>
    importModel([], { ...START, 'backbone-weights': file, seed }, 'F32');
  const { bytes, lines } = await start('7');
  assert.deepEqual(lines, [
    "prefix removed: 'module.'",
    'not used: classifier.1.bias',
    'head: random, from seed 7',
  ]);
  const made = readModelFile(bytes);
  assert.deepEqual(made.description.spec, { ...description.spec, numClasses: 11 });
  assert.deepEqual(made.description.normalisation, OFFICIAL_NORMALISATION);
  assert.equal(made.description.classNames[0], 'sky');
  const network = SegmentationNetwork.create(made.description.spec, initialWeights(7));
  loadStartWeights(network, {
    ...{ key: 'backboneWeights', file, prefix: null, sha256: '' },
    bytes: readFileSync(file),
  });
  const state = network.stateDict();
  network.dispose();
  assert.deepEqual(floatsOf(made.tensors), floatsOf(state));
  assert.notDeepEqual((await start('8')).bytes, bytes);
});

test('a backbone with a random head: required options, and errors', async () => {
  const out = ['--out', at('never.safetensors')];
  const file = backboneFile();
  const given = (...argv: string[]) => importFault('--backbone-weights', file, ...out, ...argv);
  const options = ['--model', 'deeplab_mobile', '--classes', 'camvid'];
  const cases: readonly (readonly [string[], number, RegExp])[] = [
    [['--classes', 'camvid'], 2, /^--model: required with --backbone-weights/],
    [['--model', 'deeplab_mobile'], 2, /^--classes: required with --backbone-weights/],
    [[...options, MODEL], 2, /1 files given, wanted none with --backbone-weights/],
    [[...options, '--seed', '-1'], 2, /--seed/],
    [
      ['--model', 'psp', '--classes', 'camvid'],
      2,
      /'mobilenetv2' given, psp wants one of resnet18/,
    ],
    [
      options,
      5,
      /^\S+backbone\.pth: weights: wrong shape: features\.0\.0\.weight \[8,3,3,3\], wanted \[32/,
    ],
  ];
  for (const [argv, exitCode, wanted] of cases) {
    const seen = await given(...argv);
    assert.match(seen.message, wanted);
    assert.equal(seen.exitCode, exitCode, seen.message);
  }
  assert.match(
    (await importFault(file, ...out)).message,
    /backbone\.pth: weights: of mobilenetv2 alone, without a head; with --backbone-weights before/,
  );
  const bare = await importFault('imagenet', ...out);
  assert.match(bare.message, /^import: imagenet names a backbone's weights: --backbone-weights /);
  const whole = await importFault('--backbone-weights', MODEL, ...out, ...options);
  assert.match(whole.message, /names begin with 'pretrained\.': a whole network's.*--strip-prefix/);
  const values = { ...START, 'backbone-weights': MODEL, 'strip-prefix': 'pretrained' };
  const { lines } = await importModel([], values, 'F32');
  assert.match(lines[0]!, /^prefix removed: 'pretrained\.net\.'; \d+ names without it not used/);
  for (const [more, wanted] of [
    [['--width', '0.5'], /^--width: 0\.5 given, imagenet has the weights of width 1/],
    [
      ['--backbone', 'resnet18'],
      /^No package carries imagenet weights of resnet18; .* mobilenetv2/,
    ],
  ] as const) {
    const seen = await importFault('--backbone-weights', 'imagenet', ...out, ...options, ...more);
    assert.deepEqual([seen.exitCode, wanted.test(seen.message)], [2, true], seen.message);
  }
});
