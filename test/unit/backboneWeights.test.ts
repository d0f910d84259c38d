/** Loads backbones from files as published for ImageNet, with torchvision's names and with flat ones. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadStartWeights, readStartWeights } from '../../services/student/startWeights.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import { loadBackboneWeights } from '../../src/models/files/backboneWeights.js';
import { detectBackboneName, readBackboneFile } from '../../src/models/foreign/backboneFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { OFFICIAL_NORMALISATION, TORCHVISION_NORMALISATION } from '../../src/models/normalise.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { originOf } from '../../src/models/zoo.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import {
  float32Tensor,
  formatSafetensors,
  type NamedTensor,
  type NamedTensors,
} from '../../src/wire/safetensors.js';
import { writeTorchCheckpoint } from '../../src/wire/torch/torchWriter.js';
import { writeTrainerFile } from '../support/modelFiles/trainerFile.js';

const PLAIN: NetworkSpec = {
  model: 'psp',
  backbone: 'resnet18_plain',
  variant: 'v1',
  numClasses: 3,
  widthMultiplier: 0.125,
};
const DEEP: NetworkSpec = { ...PLAIN, backbone: 'resnet18' };
const MOBILE: NetworkSpec = { ...PLAIN, model: 'psp_mobile', backbone: 'mobilenetv2' };

const folder = mkdtempSync(join(tmpdir(), 'cirkd-backbone-'));
after(() => rmSync(folder, { recursive: true }));

/** The state of a new network, with batch counts of 3. */
function stateOf(spec: NetworkSpec, seed: number): Map<string, NamedTensor> {
  const network = SegmentationNetwork.create(spec, initialWeights(seed));
  for (const entry of network.state.entries) if (entry.kind === 'counter') entry.counter.count = 3;
  const state = network.stateDict();
  network.dispose();
  return state;
}

const prefixOf = ({ model }: NetworkSpec) => originOf(model).names.backbone;

const some = (length: number) => float32Tensor(new Float32Array(length).fill(9), [length]);

/** The backbone's entries as in a file, followed by a classifier. */
function published(spec: NetworkSpec, rename = (name: string) => name): Map<string, NamedTensor> {
  const prefix = spec === MOBILE ? 'pretrained.net.' : `${prefixOf(spec)}.`;
  const own = [...stateOf(spec, 1)].filter(([name]) => name.startsWith(prefix));
  const rest: [string, NamedTensor][] =
    spec === MOBILE
      ? [['classifier.1.bias', some(1000)]]
      : [
          ['fc.weight', some(4)],
          ['fc.bias', some(1000)],
        ];
  return new Map([
    ...own.map(([name, tensor]) => [rename(name.slice(prefix.length)), tensor] as const),
    ...rest,
  ]);
}

/** Checks the network's state after loading the file; `before` is its earlier state. */
function loaded(spec: NetworkSpec, file: NamedTensors) {
  const network = SegmentationNetwork.create(spec, initialWeights(2));
  const before = network.stateDict();
  loadBackboneWeights(network, file);
  const state = network.stateDict();
  network.dispose();
  return { before, state };
}

function checkTaken(spec: NetworkSpec, file: NamedTensors): void {
  const { before, state } = loaded(spec, file);
  const source = stateOf(spec, 1);
  for (const [name, tensor] of state) {
    const wanted = name.startsWith(`${prefixOf(spec)}.`) ? source : before;
    assert.deepEqual(tensor, wanted.get(name), name);
  }
}

function refusal(spec: NetworkSpec, file: NamedTensors): string {
  const network = SegmentationNetwork.create(spec, initialWeights(2));
  const before = network.stateDict();
  try {
    loadBackboneWeights(network, file);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, `${error}`);
    assert.deepEqual(network.stateDict(), before);
    return error.message;
  } finally {
    network.dispose();
  }
  return assert.fail('was taken');
}

/** torchvision's index of each layer of a block: with an expansion, and without (the first block). */
const NESTED = { 0: '0.0', 1: '0.1', 3: '1.0', 4: '1.1', 6: '2', 7: '3' } as Record<string, string>;
const NESTED_FIRST = { 0: '0.0', 1: '0.1', 3: '1', 4: '2' } as Record<string, string>;

function torchvisionName(name: string): string {
  return name.replace(
    /^features\.(\d+)\.conv\.(\d)\./,
    (_, block, layer) =>
      `features.${block}.conv.${(block === '1' ? NESTED_FIRST : NESTED)[layer]}.`,
  );
}

test('networks of torchvision and mmsegmentation load the backbones published for them', () => {
  const torchvision: NetworkSpec = {
    ...PLAIN,
    ...{ model: 'torchvision_deeplabv3', backbone: 'resnet50_plain' },
  };
  checkTaken(torchvision, published(torchvision));
  const mmseg: NetworkSpec = { ...PLAIN, model: 'mmseg_psp', backbone: 'resnet18_v1c' };
  checkTaken(mmseg, published(mmseg));
  assert.match(
    refusal(mmseg, published(PLAIN)),
    /conv1\.weight .* belongs to the stem of resnet18_plain/,
  );
});

test('a ResNet of either stem: the backbone is loaded, the rest stays, fc is left out', () => {
  checkTaken(PLAIN, published(PLAIN));
  checkTaken(DEEP, published(DEEP));
});

test('MobileNetV2 with torchvision names and with flat ones', () => {
  const nested = published(MOBILE, torchvisionName);
  for (const name of ['features.1.conv.1.weight', 'features.2.conv.1.1.running_var']) {
    assert.ok(nested.has(name), name);
  }
  assert.deepEqual(nested.get('features.17.conv.2.weight')?.shape, [40, 144, 1, 1]);
  checkTaken(MOBILE, new Map([...nested, ['features.18.0.weight', some(1)]]));
  checkTaken(MOBILE, new Map([...published(MOBILE), ['conv.0.weight', some(1)]]));
});

test('in a file older than batch counts they are 0', () => {
  const file = [...published(PLAIN)].filter(([name]) => !name.endsWith('num_batches_tracked'));
  const { state } = loaded(PLAIN, new Map(file));
  const zero = { dtype: 'I64', shape: [], data: new Uint8Array(8) };
  assert.deepEqual(state.get('pretrained.layer4.1.bn2.num_batches_tracked'), zero);
  assert.deepEqual(
    state.get('pretrained.layer4.1.bn2.weight'),
    stateOf(PLAIN, 1).get('pretrained.layer4.1.bn2.weight'),
  );
});

test('the other stem, a whole network and names that do not fit are refused and change nothing', () => {
  assert.match(
    refusal(DEEP, published(PLAIN)),
    /conv1\.weight \[8,3,7,7\] belongs to the stem of resnet18_plain, the network's backbone is resnet18$/,
  );
  assert.match(refusal(PLAIN, published(DEEP)), /stem of resnet18, .* is resnet18_plain$/);
  assert.match(refusal(PLAIN, stateOf(PLAIN, 1)), /begin with 'pretrained\.': a whole network's/);
  const file = published(PLAIN);
  file.delete('bn1.weight');
  file.set('layer1.0.conv9.weight', some(1));
  file.set('layer2.0.bn1.bias', some(5));
  assert.equal(
    refusal(PLAIN, file),
    'weights: missing: bn1.weight; unexpected: layer1.0.conv9.weight; ' +
      'wrong shape: layer2.0.bn1.bias [5], wanted [16]',
  );
  assert.equal(
    refusal(MOBILE, published(PLAIN)),
    "weights: resnet18_plain given, the network's backbone is mobilenetv2",
  );
  const deeper = { ...PLAIN, backbone: 'resnet50_plain' };
  assert.equal(
    refusal(PLAIN, published(deeper)),
    "weights: resnet50_plain given, the network's backbone is resnet18_plain",
  );
});

/** PyTorch-Encoding's: the deep stem is one module. */
const SEQUENTIAL = { conv1: 'conv1.0', bn1: 'conv1.1', conv2: 'conv1.3', bn2: 'conv1.4' };
const LAST = { conv3: 'conv1.6', bn3: 'bn1' };

function inStem(names: Record<string, string>): (name: string) => string {
  return (name) => name.replace(/^\w+(?=\.)/, (word) => names[word] ?? word);
}

test('the deep stem in one Sequential', () => {
  const file = published(DEEP, inStem({ ...SEQUENTIAL, ...LAST }));
  assert.ok(file.has('conv1.6.weight') && file.has('bn1.running_var'), [...file.keys()].join());
  checkTaken(DEEP, file);
});

test("mmsegmentation's own stem is named in the error, whatever the network", () => {
  const publishedNames = ['conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3'];
  const ownNames = ['stem.0', 'stem.1', 'stem.3', 'stem.4', 'stem.6', 'stem.7'];
  const stem = Object.fromEntries(publishedNames.map((word, i) => [word, ownNames[i]!]));
  const file = published({ ...DEEP, backbone: 'resnet50' }, inStem(stem));
  file.set('stem.0.weight', float32Tensor(new Float32Array(32 * 27), [32, 3, 3, 3]));
  assert.equal(detectBackboneName(file), 'resnet50_v1c');
  assert.equal(readBackboneFile(file).normalisation, TORCHVISION_NORMALISATION);
  assert.equal(
    refusal({ ...DEEP, backbone: 'resnet50' }, file),
    "weights: stem.0.weight [32,3,3,3] belongs to the stem of resnet50_v1c, the network's backbone is resnet50",
  );
  assert.match(refusal(PLAIN, file), /of resnet18_v1c, the network's backbone is resnet18_plain$/);
});

test('the backbone of a file and its classifier are detected', () => {
  const detected = (file: NamedTensors) => {
    const { tensors, leftOut, normalisation } = readBackboneFile(file);
    return [detectBackboneName(tensors), leftOut, normalisation];
  };
  const fc = ['fc.weight', 'fc.bias'];
  assert.deepEqual(detected(published(PLAIN)), ['resnet18_plain', fc, TORCHVISION_NORMALISATION]);
  assert.deepEqual(detected(published(DEEP)), ['resnet18', fc, OFFICIAL_NORMALISATION]);
  const rest = ['classifier.1.bias'];
  const nested = published(MOBILE, torchvisionName);
  assert.deepEqual(detected(nested), ['mobilenetv2', rest, TORCHVISION_NORMALISATION]);
  assert.deepEqual(detected(published(MOBILE)), ['mobilenetv2', rest, OFFICIAL_NORMALISATION]);
  assert.equal(detectBackboneName(new Map([['vgg.weight', some(1)]])), null);
});

const RUN = `data:
  train: {kind: synthetic, samples: 8}
  val: {kind: synthetic, samples: 4, seed: 1}
train: {steps: 10}
student: {model: psp, backbone: resnet18_plain, widthMultiplier: 0.125}
`;

const configured = (...overrides: string[]) =>
  loadConfig(studentSchema, { text: RUN, fileName: 'student.yaml', overrides });

test('student.backboneWeights: .pth and .safetensors; faults name key and file', async () => {
  const file = published(PLAIN);
  const wrapped = new Map([...file].map(([name, tensor]) => [`module.${name}`, tensor]));
  const [pth, tensors] = [join(folder, 'resnet18.pth'), join(folder, 'resnet18.safetensors')];
  writeFileSync(pth, writeTorchCheckpoint(wrapped));
  writeFileSync(tensors, formatSafetensors(file, {}));
  for (const path of [pth, tensors]) {
    const start = await readStartWeights(configured(`student.backboneWeights=${path}`));
    assert.equal(start?.key, 'backboneWeights');
    const network = SegmentationNetwork.create(PLAIN, initialWeights(2));
    loadStartWeights(network, start);
    assert.deepEqual(
      network.stateDict().get('pretrained.conv1.weight'),
      stateOf(PLAIN, 1).get('pretrained.conv1.weight'),
    );
    network.dispose();
    const deep = SegmentationNetwork.create(DEEP, initialWeights(2));
    assert.throws(
      () => loadStartWeights(deep, start),
      (error: Error) =>
        error.name === 'CheckpointError' &&
        error.message.startsWith(`student.backboneWeights: ${path}: weights: conv1.weight`),
    );
    deep.dispose();
  }
  const trainer = join(folder, 'trainer.pth');
  writeFileSync(trainer, writeTrainerFile(file));
  const notes: string[] = [];
  const config = configured(`student.backboneWeights=${trainer}`);
  const keep = (text: string) => notes.push(text);
  await readStartWeights(config, { info: keep, warn: keep });
  assert.ok(
    notes.some((note) => note.includes('argparse.Namespace (1 object besides the weights)')),
    notes.join('\n'),
  );
  await assert.rejects(readStartWeights(configured('student.backboneWeights=none.pth')), {
    name: 'CheckpointError',
    message: /^student\.backboneWeights: none\.pth: ENOENT/,
  });
  assert.equal(await readStartWeights(configured()), null);
});

test('notes on a file: prefix, classifier, pixels; a chosen prefix', async () => {
  const detected: string[] = [];
  const notes = {
    info: (text: string) => detected.push(text),
    warn: (text: string) => detected.push(`! ${text}`),
  };
  const file = published(PLAIN);
  const path = join(folder, 'moco.safetensors');
  const encoders = ['encoder_q', 'encoder_k'].flatMap((one) =>
    [...file].map(([name, tensor]) => [`module.${one}.${name}`, tensor] as const),
  );
  writeFileSync(path, formatSafetensors(new Map(encoders), {}));
  const start = await readStartWeights(
    configured(
      `student.backboneWeights=${path}`,
      'student.backboneWeightsPrefix=module.encoder_q',
      'student.channelOrder=bgr',
    ),
    notes,
  );
  const [prefix, classifier, pixels] = detected;
  const at = `student.backboneWeights: ${path}:`;
  assert.ok(prefix?.startsWith(`${at} prefix removed: 'module.encoder_q.'; `), prefix);
  assert.match(prefix!, /; \d+ names without it not used \(/);
  assert.equal(classifier, `${at} not used: fc.weight, fc.bias`);
  assert.match(
    pixels!,
    /^! .*trained on pixels rgb minus 123\.675, .* this student's are bgr minus/,
  );
  assert.equal(detected.length, 3);
  const network = SegmentationNetwork.create(PLAIN, initialWeights(2));
  loadStartWeights(network, start!);
  const weight = network.stateDict().get('pretrained.conv1.weight');
  assert.deepEqual(weight, stateOf(PLAIN, 1).get('pretrained.conv1.weight'));
  network.dispose();
});

test('student.weights and student.backboneWeights exclude each other', () => {
  assert.throws(
    () => configured('student.backboneWeights=a.pth', 'student.weights=b.safetensors'),
    (error) => error instanceof ConfigError && error.faults[0]?.key === 'student.backboneWeights',
  );
});

test('a name is found among more names than a call takes arguments', () => {
  const names = [0, 1].flatMap((block) =>
    [1, 2, 3, 4].map((layer) => `layer${layer}.${block}.conv1.weight`),
  );
  const others = Array.from({ length: 200_000 }, (_, index) => `other.${index}`);
  const shapes = new Map([...names, ...others].map((name) => [name, { shape: [1] }]));
  shapes.set('conv1.weight', { shape: [64, 3, 7, 7] });
  assert.equal(detectBackboneName(shapes), 'resnet18_plain');
});
