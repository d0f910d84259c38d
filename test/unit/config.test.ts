import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BACKBONE_FILES } from '../../services/setup/pins.mjs';
import { ConfigError } from '../../src/config/configError.js';
import { configReference } from '../../src/config/describe.js';
import type { ConfigSchema } from '../../src/config/fields.js';
import { changedFixedKeys } from '../../src/config/fixedKeys.js';
import { formatConfig } from '../../src/config/format.js';
import { loadConfig } from '../../src/config/load.js';
import { schemaTree, walkKeys } from '../../src/config/schemaTree.js';
import { studentSchema } from '../../src/config/student.js';
import { IMAGENET_BACKBONES, studentConfigNotes } from '../../src/config/studentChecks.js';
import { teacherSchema } from '../../src/config/teacher.js';
import { VALUES_SCHEMA, valuesSchemaText } from '../support/deploy/valuesSchema.js';

const STUDENT = `data:
  train: {kind: synthetic, samples: 8}
  val: {kind: synthetic, samples: 4, seed: 1}
train:
  steps: 10
`;

function student(text = STUDENT, overrides: string[] = []) {
  return loadConfig(studentSchema, { text, fileName: 'student.yaml', overrides });
}

function faultsOf<T>(schema: ConfigSchema<T>, text: string, overrides: string[] = []) {
  try {
    loadConfig(schema, { text, fileName: 'some.yaml', overrides });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.name, 'ConfigError');
    return error;
  }
  return assert.fail('no ConfigError');
}

const messagesOf = (error: ConfigError) =>
  Object.fromEntries(error.faults.map((fault) => [fault.key, fault.message]));

test('defaults are the official CIRKD recipe', () => {
  const config = student();
  assert.equal(config.train.learningRate, 0.02);
  assert.equal(config.train.batchSize, 16);
  assert.deepEqual(config.data.crop, { height: 512, width: 1024 });
  assert.equal(config.loss.weights.memory_region, 0.1);
  assert.equal(config.memory.pixelMemorySize, 20_000);
  assert.deepEqual(config.teacher.addresses, []);
});

test('all faults are named at once, with key, line, given and wanted value', () => {
  const text = `seed: -1
data:
  train: {kind: synthetic, samples: many}
  val: {kind: pascal}
  crop:
    height: 0
    widht: 64
train:
  learningRate: .nan
student:
  pixelMean: [1, 2]
  model: unet
stepz: 3
`;
  const error = faultsOf(studentSchema, text);
  assert.deepEqual(messagesOf(error), {
    seed: 'got -1, wanted an integer from 0 to 4294967295',
    'data.train.samples': 'got "many", wanted an integer >= 1',
    'data.val.kind':
      'got "pascal", wanted one of synthetic, camvid, cityscapes, voc, ade20k, cocostuff, folder',
    'data.crop.height': 'got 0, wanted an integer from 1 to 16384',
    'data.crop.widht': 'unknown key, did you mean data.crop.width?',
    'train.steps': 'got nothing, wanted an integer >= 1',
    'train.learningRate': 'got NaN, wanted a number > 0',
    'student.pixelMean': 'got [1,2], wanted a list of 3 values, each a number',
    'student.model':
      'got "unet", wanted one of deeplabv3, psp, deeplab_mobile, psp_mobile, ' +
      'torchvision_deeplabv3, torchvision_fcn, mmseg_deeplabv3, mmseg_psp, segformer, hf_segformer, mmseg_segformer',
    stepz: 'unknown key',
  });
  const lines = Object.fromEntries(error.faults.map((fault) => [fault.key, fault.line]));
  assert.equal(lines.seed, 1);
  assert.equal(lines['data.train.samples'], 3);
  assert.equal(lines['data.crop.widht'], 7);
  assert.equal(lines['train.steps'], 8);
  assert.match(error.message, /^some\.yaml: 10 faults\n {2}line \d+: /);
});

test('unknown keys: suggests a similar name, a key of another section, or nothing', () => {
  const error = faultsOf(
    studentSchema,
    `${STUDENT}  batchsize: 4\nlearningRate: 1\nqwertz: 1\nloss:\n  weights: {logit_kd: 1}\n`,
  );
  assert.deepEqual(messagesOf(error), {
    'train.batchsize': 'unknown key, did you mean train.batchSize?',
    learningRate: 'unknown key, did you mean train.learningRate?',
    qwertz: 'unknown key',
    'loss.weights.logit_kd': 'unknown key, did you mean loss.weights.logits_kd?',
  });
});

test('a retired key with the value that now always applies is accepted', () => {
  const text = `${STUDENT}evaluate: {mode: whole, pictures: 3}\n`;
  assert.deepEqual(student(text).evaluate, { pictures: 3 });
  assert.deepEqual(student(STUDENT, ['evaluate.mode=whole']), student());
  assert.deepEqual(messagesOf(faultsOf(studentSchema, STUDENT, ['evaluate.mode=windows'])), {
    'evaluate.mode': 'unknown key',
  });
});

test('a missing section names its missing keys', () => {
  assert.deepEqual(Object.keys(messagesOf(faultsOf(studentSchema, ''))), [
    'data.train',
    'data.val',
    'train.steps',
  ]);
});

test('keys of the other dataset kind are unknown', () => {
  const error = faultsOf(studentSchema, STUDENT, ['data.train.kind=camvid', 'data.train.root=x']);
  assert.deepEqual(messagesOf(error), {
    'data.train.samples': 'unknown key',
    'data.val.kind': 'got synthetic, wanted the classes of data.train, kind camvid',
  });
});

test('broken YAML and a duplicate key give their line', () => {
  const broken = faultsOf(studentSchema, 'seed: 1\ntrain: [1\n');
  assert.equal(broken.faults[0]?.key, '');
  assert.match(broken.message, /line \d: not YAML/);
  assert.match(faultsOf(studentSchema, 'seed: 1\nseed: 2\n').message, /line 2: not YAML: .*unique/);
  assert.match(faultsOf(studentSchema, '- 1\n').message, /got \[1\], wanted a section/);
});

test('overrides are YAML values, later ones win, and faults name them', () => {
  const config = student(STUDENT, [
    'train.batchSize=4',
    'train.batchSize=8',
    'teacher.addresses=[a:1, b:2]',
    'teacher.addresses.1=c:3',
    'run.id=x',
    'metrics.port=null',
    'loss.weights.task=1e-1',
  ]);
  assert.equal(config.train.batchSize, 8);
  assert.deepEqual(config.teacher.addresses, ['a:1', 'c:3']);
  assert.equal(config.metrics.port, null);
  assert.equal(config.loss.weights.task, 0.1);
  const error = faultsOf(studentSchema, STUDENT, ['train.steps=ten', 'train.momentun=1']);
  assert.match(error.message, /--set train\.steps=ten: train\.steps: got "ten"/);
  assert.match(error.message, /--set train\.momentun=1: .*did you mean train\.momentum/);
  const unusable = faultsOf(studentSchema, STUDENT, [
    'seed',
    'a..b=1',
    'train.steps.x=1',
    'seed=[1',
  ]);
  assert.equal(unusable.faults.length, 4, unusable.message);
});

test('an override cannot reach a prototype', () => {
  const error = faultsOf(studentSchema, STUDENT, ['__proto__.polluted=1', 'constructor.x=1']);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.ok('constructor' in messagesOf(error), error.message);
});

test('faults that involve several keys, also beside faults of other keys', () => {
  const overrides = ['train.batchSize=1', 'loss.minibatchGroup=3', 'data.scale.min=3'];
  const keys = ['train.batchSize', 'loss.minibatchGroup', 'data.scale.min'];
  const alone = faultsOf(studentSchema, STUDENT, overrides);
  assert.deepEqual(Object.keys(messagesOf(alone)), keys);
  assert.equal(new Set(Object.values(messagesOf(alone))).size, 3);
  const beside = faultsOf(studentSchema, STUDENT, [...overrides, 'train.momentum=2']);
  assert.deepEqual(Object.keys(messagesOf(beside)), ['train.momentum', ...keys]);
  // A faulty key isn't involved in a second fault.
  const hidden = faultsOf(studentSchema, STUDENT, ['train.batchSize=0', 'loss.minibatchGroup=3']);
  assert.deepEqual(Object.keys(messagesOf(hidden)), ['train.batchSize']);
});

test('labels as the only signal with a weight of 0 are a fault', () => {
  const error = faultsOf(studentSchema, STUDENT, ['loss.weights.task=0']);
  assert.deepEqual(Object.keys(messagesOf(error)), ['loss.weights.task']);
  const address = 'teacher.addresses=["127.0.0.1:1"]';
  assert.equal(student(STUDENT, ['loss.weights.task=0', address]).loss.weights.task, 0);
});

test('train and val must be different scenes of the same kind', () => {
  assert.ok(
    'data.val.seed' in messagesOf(faultsOf(studentSchema, STUDENT, ['data.val.seed=0'])),
    'data.val.seed is not among the faults',
  );
  const other = faultsOf(studentSchema, STUDENT, ['data.val={kind: camvid, root: x}']);
  assert.ok('data.val.kind' in messagesOf(other), 'data.val.kind is not among the faults');
});

test('labels from the teacher need a teacher; a folder needs labels or a teacher', () => {
  const teacher = 'teacher.addresses=[a:1]';
  const keysOf = (...overrides: string[]) =>
    Object.keys(messagesOf(faultsOf(studentSchema, STUDENT, overrides)));
  assert.deepEqual(keysOf('data.train.labels=teacher'), ['data.train.labels']);
  const { train } = student(STUDENT, ['data.train.labels=teacher', teacher]).data;
  assert.deepEqual([train.labels, train.minConfidence], ['teacher', 0.5]);
  assert.deepEqual([student().data.train.labels, student().data.train.kind], ['file', 'synthetic']);
  const folder = (key: string) => `data.${key}={kind: folder, imageFolder: x, classTable: camvid}`;
  assert.deepEqual(keysOf(folder('train')), ['data.train.labelFolder']);
  assert.deepEqual(keysOf(folder('val')), ['data.val.labelFolder']);
  assert.equal(
    student(STUDENT, [folder('train'), 'data.train.labels=teacher', teacher]).data.train.kind,
    'folder',
  );
  // data.val always has label files.
  assert.deepEqual(keysOf('data.val.labels=teacher', teacher), ['data.val.labels']);
  assert.deepEqual(keysOf('data.train.minConfidence=1'), ['data.train.minConfidence']);
});

test('student.backboneWeights: imagenet is for backbones whose weights a package contains', () => {
  const packaged = BACKBONE_FILES.imagenet.map(({ backbone }) => backbone);
  assert.deepEqual(IMAGENET_BACKBONES, packaged);
  const imagenet = 'student.backboneWeights=imagenet';
  const mobile = ['student.model=deeplab_mobile', 'student.backbone=mobilenetv2', imagenet];
  assert.equal(student(STUDENT, mobile).student.backboneWeights, 'imagenet');
  const faults = messagesOf(
    faultsOf(studentSchema, STUDENT, [imagenet, 'student.widthMultiplier=0.5']),
  );
  assert.deepEqual(faults, {
    'student.backboneWeights':
      'got imagenet, wanted the path of a file for resnet18: imagenet is available for mobilenetv2',
    'student.widthMultiplier': 'got 0.5, wanted 1: the imagenet weights are for full width',
  });
  const prefix = 'student.backboneWeightsPrefix=encoder.';
  for (const overrides of [[prefix], [...mobile, prefix]]) {
    const error = faultsOf(studentSchema, STUDENT, overrides);
    assert.deepEqual(Object.keys(messagesOf(error)), ['student.backboneWeightsPrefix']);
  }
  const file = ['student.backboneWeights=r18.pth', prefix];
  assert.equal(student(STUDENT, file).student.backboneWeightsPrefix, 'encoder.');
});

test('terms ignored without a teacher are noted, those at 0 are not', () => {
  const off = ['loss.weights.logits_kd=0', 'loss.weights.minibatch_pixel=0'];
  assert.match(studentConfigNotes(student(STUDENT, off))[0] ?? '', /memory_pixel.*ignored/);
  assert.doesNotMatch(studentConfigNotes(student(STUDENT, off))[0] ?? '', /logits_kd/);
  assert.deepEqual(studentConfigNotes(student(STUDENT, ['teacher.addresses=[a:1]'])), []);
});

test('teacher: checks across limits', () => {
  const overrides = ['limits.maxImagePixels=10000000', 'warmUp=[[10000, 2000]]'];
  assert.deepEqual(
    Object.keys(messagesOf(faultsOf(teacherSchema, 'checkpoint: t.safetensors', overrides))),
    ['limits.maxMessageMiB', 'warmUp.0'],
  );
  assert.match(
    faultsOf(teacherSchema, 'checkpoint: t.pth').message,
    /path of a \.safetensors file/,
  );
});

test('a formatted config reads back the same', () => {
  const config = student(STUDENT, [
    'teacher.addresses=[a:1]',
    'run.id="7"',
    'student.weights=null',
  ]);
  assert.deepEqual(student(formatConfig(config)), config);
});

test('fixed keys: a change is named, free keys may change', () => {
  const was = student();
  const free = [
    'teacher.addresses=[b:1]',
    'data.workers=7',
    'teacher.prefetchSteps=5',
    'log.level=warn',
  ];
  assert.deepEqual(changedFixedKeys(studentSchema, was, student(STUDENT, free)), []);
  const is = student(STUDENT, ['seed=1', 'loss.weights.task=2', 'data.train.samples=9']);
  assert.deepEqual(changedFixedKeys(studentSchema, was, is), [
    { key: 'seed', was: 0, is: 1 },
    { key: 'data.train.samples', was: 8, is: 9 },
    { key: 'loss.weights.task', was: 1, is: 2 },
  ]);
});

test('every key has a doc line', () => {
  for (const schema of [studentSchema, teacherSchema]) {
    for (const { path, node } of walkKeys(schemaTree(schema as ConfigSchema<unknown>))) {
      assert.ok((node.doc ?? '').endsWith('.'), `${schema.service}: ${path.join('.')}`);
    }
  }
});

// UPDATE_DOCS=1 writes the file instead.
test('docs/config.md is up to date with the schemas', () => {
  const file = new URL('../../docs/config.md', import.meta.url);
  if (process.env.UPDATE_DOCS === '1') writeFileSync(file, configReference());
  assert.equal(readFileSync(file, 'utf8'), configReference());
});

// UPDATE_DOCS=1 writes the file instead.
test("the chart's values.schema.json accepts the configs that the schemas accept", () => {
  const text = valuesSchemaText();
  if (process.env.UPDATE_DOCS === '1') writeFileSync(VALUES_SCHEMA, text);
  assert.equal(readFileSync(VALUES_SCHEMA, 'utf8'), text);
  // Go's regular expressions, helm's, refuse the whole schema over one of these.
  assert.deepEqual(text.match(/"\^?[^"]*\(\?[=!<][^"]*"/g), null);
});
