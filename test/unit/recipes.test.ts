/** The files in recipes/ are right configs, by themselves or on top of one another, and say what was run of them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { studentSchema } from '../../services/program/studentSchema.js';
import { readPlan } from '../../services/study/plan.js';
import { loadConfig } from '../../src/config/load.js';
import type { StudentConfig } from '../../src/config/student.js';
import { termWeights } from '../../src/contract/terms.js';
import { filesBelow } from '../../src/data/files/fileList.js';

const ROOT = fileURLToPath(new URL('../../recipes/', import.meta.url));
const DOC = readFileSync(fileURLToPath(new URL('../../docs/recipes.md', import.meta.url)), 'utf8');
/** Relative to recipes/. Those in a folder below it go on top of others; studies/ has files of `cirkd study`. */
const files = filesBelow(ROOT, ['.yaml']);
const whole = files.filter((name) => !name.includes('/'));
const overlays = (folder: string) => files.filter((name) => name.startsWith(`${folder}/`));

const textOf = (name: string) => readFileSync(`${ROOT}${name}`, 'utf8');
/** The comment that a file begins with. */
const headerOf = (name: string) => /^(#.*\n)+/.exec(textOf(name))?.[0] ?? '';

function load(...names: string[]): StudentConfig {
  const [first, ...overlays] = names.map((fileName) => ({ text: textOf(fileName), fileName }));
  return loadConfig(studentSchema, { ...first!, overlays });
}

const CIRKD = {
  ...{ task: 1, logits_kd: 1, minibatch_pixel: 1 },
  ...{ memory_pixel: 0.1, memory_region: 0.1 },
};
const CHANNELS = { minibatch_channel: 1, memory_channel: 0.1, channel_mse: 100 };
const SMALL_BANKS = { memory_pixel: 0.01, memory_region: 0.01 };

/** Crop, steps, variant and weights of the official scripts; everything else is common to them. */
const DATASETS = {
  'cirkd-cityscapes.yaml': [512, 1024, 40_000, 'v1', CIRKD],
  'cirkd-camvid.yaml': [360, 360, 40_000, 'v1', CIRKD],
  'cirkd-voc.yaml': [512, 512, 40_000, 'v1', { ...CIRKD, ...SMALL_BANKS }],
  'cirkd-ade20k.yaml': [512, 512, 80_000, 'v2', { ...CIRKD, ...CHANNELS, fitnet: 1 }],
  'cirkd-cocostuff.yaml': [512, 512, 80_000, 'v2', { ...CIRKD, ...CHANNELS, fitnet: 10 }],
} as const;

/** Every weight above 0 of the official scripts. */
const METHODS = {
  'attention-transfer': { task: 1, logits_kd: 1, attention_transfer: 10_000 },
  cirkd: CIRKD,
  cirkdv2: { ...CIRKD, ...CHANNELS, fitnet: 1 },
  'cirkdv2-segformer': { ...CIRKD, ...CHANNELS, fitnet: 1 },
  cwd: { task: 1, logits_kd: 1, cwd_feature: 50, cwd_logits: 3, skd_holistic: 0.001 },
  'cwd-segformer': { task: 1, logits_kd: 1, cwd_feature: 5, cwd_logits: 0.3, skd_holistic: 0.001 },
  dsd: { task: 1, dsd_psd: 1000, dsd_csd: 10 },
  fitnet: { task: 1, logits_kd: 1, fitnet: 10 },
  ifvd: { task: 1, logits_kd: 1, ifvd: 20, skd_holistic: 0.001 },
  labels: { task: 1 },
  skd: { task: 1, logits_kd: 1, skd_pairwise: 10, skd_holistic: 0.001 },
} as const;

/** The discriminator of the holistic term needs larger crops than CamVid's. */
function methodsFor(dataset: string): string[] {
  const isAdversarial = (method: string) => /^ +skd_holistic:/m.test(textOf(method));
  return overlays('methods').filter(
    (method) => dataset !== 'cirkd-camvid.yaml' || !isAdversarial(method),
  );
}

test('methods with a discriminator refuse the crops of CamVid by name', () => {
  for (const method of ['skd', 'ifvd', 'cwd']) {
    assert.throws(
      () => load('cirkd-camvid.yaml', `methods/${method}.yaml`),
      /data\.crop\.height: got 360, wanted at least 505/,
    );
  }
});

test('every recipe is accepted by the schema, overlays on top of every dataset', () => {
  for (const name of whole) assert.ok(load(name), name);
  const segformer = 'cirkd-segformer-cityscapes.yaml';
  for (const dataset of [...Object.keys(DATASETS), segformer]) {
    assert.ok(whole.includes(dataset), dataset);
    for (const method of methodsFor(dataset)) assert.ok(load(dataset, method), method);
  }
  for (const student of overlays('students')) {
    for (const dataset of Object.keys(DATASETS)) {
      for (const method of methodsFor(dataset)) assert.ok(load(dataset, student, method), student);
    }
  }
});

test('every study is accepted with all its variants', () => {
  const studies = overlays('studies');
  assert.ok(studies.length >= 3, studies.join(', '));
  // Their files are relative to the folder above recipes/, which the tests run in.
  for (const name of studies) assert.ok(readPlan(`${ROOT}${name}`).variants.length > 0, name);
});

test('the study on full-size CamVid starts from ImageNet, has every method, and says that it was not run', () => {
  const methods = [
    ...['labels', 'logits-kd', 'at', 'fitnet', 'skd', 'ifvd', 'cwd', 'dsd', 'minibatch-pixel'],
    ...['memory-pixel', 'cirkd', 'cirkdv2'],
  ];
  const { variants, study } = readPlan(`${ROOT}studies/camvid-imagenet.yaml`);
  assert.deepEqual(
    variants.map(({ name }) => name),
    [...methods, 'cirkd-fp32', 'cirkd-int8'],
  );
  assert.deepEqual(study.seeds, [0, 1, 2, 3, 4]);
  for (const { name, config } of variants) {
    const { model, backboneWeights } = config.student;
    assert.deepEqual([model, backboneWeights], ['psp_mobile', 'imagenet'], name);
  }
  const encodings = variants.slice(-3).map(({ config }) => config.teacher.encoding);
  assert.deepEqual(encodings, ['fp16', 'fp32', 'int8']);
  assert.match(headerOf('studies/camvid-imagenet.yaml'), /THIS STUDY HAS NOT BEEN RUN YET/);
  const scratch = readPlan(`${ROOT}studies/camvid-scratch.yaml`).variants;
  assert.deepEqual(
    scratch.map(({ name }) => name),
    methods,
  );
  for (const { name, config } of scratch) {
    const { model, backbone, backboneWeights } = config.student;
    assert.deepEqual([model, backbone, backboneWeights], ['psp', 'resnet18', null], name);
  }
  assert.equal(load('camvid-imagenet-teacher.yaml').student.backboneWeights, 'imagenet');
});

test('every recipe says what was run and what was not', () => {
  for (const name of files) {
    assert.match(headerOf(name), /^# Run: /m, name);
    assert.match(headerOf(name), /^# Not run: /m, name);
  }
});

test('docs/recipes.md has every file', () => {
  for (const name of files) assert.ok(DOC.includes(`(../recipes/${name})`), name);
});

test("the datasets' settings are the published ones", () => {
  for (const [name, [height, width, steps, variant, weights]] of Object.entries(DATASETS)) {
    const { data, train, loss, memory, student } = load(name);
    assert.deepEqual(data.crop, { height, width });
    assert.deepEqual(data.scale, { min: 0.5, max: 2, step: 0.1 });
    assert.deepEqual(
      [train.steps, train.batchSize, train.learningRate, train.weightDecay, train.momentum],
      [steps, 16, 0.02, 1e-4, 0.9],
    );
    assert.equal(student.variant, variant, name);
    assert.equal(loss.graphConvolution, variant === 'v2', name);
    assert.deepEqual(loss.weights, termWeights(weights), name);
    assert.deepEqual([memory.pixelMemorySize, memory.regionMemorySize], [20_000, 2000]);
    assert.deepEqual([memory.channelMemorySize, memory.channelContrastSize], [10_000, 2048]);
  }
});

test("a method's weights are the published ones on every dataset, and no other term is left on", () => {
  const names = overlays('methods').map((name) => basename(name, '.yaml'));
  assert.deepEqual(names.sort(), Object.keys(METHODS).sort());
  for (const [method, weights] of Object.entries(METHODS)) {
    for (const dataset of Object.keys(DATASETS)) {
      if (!methodsFor(dataset).includes(`methods/${method}.yaml`)) continue;
      const { loss, teacher } = load(dataset, `methods/${method}.yaml`);
      assert.deepEqual(loss.weights, termWeights(weights), `${dataset} + ${method}`);
      assert.deepEqual([loss.cwdTemperature, loss.dsdTemperature, loss.kdTemperature], [4, 4, 1]);
      assert.equal(loss.graphConvolution, method === 'cirkdv2', method);
      const { kind, weight, learningRate, polyPower, betas } = loss.discriminator;
      assert.deepEqual([kind, weight, learningRate, polyPower], ['hinge', 0.1, 4e-4, 0], method);
      assert.deepEqual(betas, [0.9, 0.99], method);
      assert.equal(teacher.addresses.length, method === 'labels' ? 0 : 1, method);
    }
  }
});

test("the second version's schedule and SegFormer's are the published ones", () => {
  const cityscapes = [
    'cirkd-cityscapes.yaml',
    'schedules/cityscapes-80k.yaml',
    'methods/cirkdv2.yaml',
  ];
  const { train, loss, student } = load(...cityscapes);
  assert.deepEqual([train.steps, train.batchSize, train.learningRate], [80_000, 8, 0.01]);
  assert.deepEqual(
    [loss.minibatchGroup, loss.minibatchPooling, student.variant],
    [1, 'auto', 'v2'],
  );
  const segformer = load('cirkd-segformer-cityscapes.yaml', 'methods/cirkdv2-segformer.yaml');
  const { steps, batchSize, learningRate, optimizer, weightDecay } = segformer.train;
  assert.deepEqual([steps, batchSize, learningRate], [160_000, 8, 2e-4]);
  assert.deepEqual([optimizer, weightDecay], ['adamw', 1e-4]);
  assert.deepEqual(segformer.data.crop, { height: 1024, width: 1024 });
  assert.equal(segformer.memory.pixelMemorySize, 2000);
  assert.deepEqual([segformer.student.model, segformer.student.backbone], ['segformer', 'mit_b0']);
});
