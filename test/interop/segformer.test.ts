/**
 * SegFormers against transformers and mmsegmentation themselves: files that they write are imported here,
 * logits, features and gradients agree; they load what is exported here with strict=True. CIRKD's form is
 * transformers' network with its names and details.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { command as importCommand } from '../../services/cli/commands/import.js';
import { exportModel } from '../../src/models/files/exportModel.js';
import { readModelFile, writeModelFile } from '../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { TORCHVISION_NORMALISATION } from '../../src/models/normalise.js';
import { isSegformer, type SegformerName } from '../../src/models/segformer.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { ZOO } from '../../src/models/zoo.js';
import { type NetworkEntry, networkEntries } from '../support/modelFiles/networkEntries.js';
import { transformersPeer } from '../support/peers/torchPeer.js';
import { checkOutputs } from './zooComparison.js';
import { evaluated, imageValues, recipeWeights, trained } from './zooSides.js';

const PEER = fileURLToPath(new URL('segformerPeer.py', import.meta.url));
const CLASSES = 5;
/** Odd sizes; with the second, no stage's map has a side that its reduction divides. */
const IMAGE_SHAPES = [
  [1, 65, 113, 3],
  [2, 77, 91, 3],
];
/**
 * Of gradients: largest difference from PyTorch's in float64 by the largest value, of each array beside eight
 * times PyTorch's own float32 difference, and of all arrays together.
 */
const GRADIENT_TOLERANCE = 1e-4;

interface Answer {
  readonly keys: Record<string, NetworkEntry[]>;
  /** Names of gradients and buffers, in the order of the file. */
  readonly saved: Record<string, string[]>;
}

const folder = mkdtempSync(join(tmpdir(), 'cirkd-segformer-'));
after(() => rmSync(folder, { recursive: true }));

const spec = (model: SegformerName, backbone: string): NetworkSpec => {
  return { model, backbone, variant: 'v1', numClasses: CLASSES, widthMultiplier: 1 };
};
const keyOf = ({ model, backbone }: NetworkSpec) => `${model}-${backbone}`;
/** CIRKD's state dict has no package that names it. */
const PACKAGED = ZOO.filter(({ model }) => isSegformer(model) && model !== 'segformer').map(
  ({ model, backbone }) => spec(model as SegformerName, backbone),
);
const SAVED = [
  spec('segformer', 'mit_b0'),
  spec('hf_segformer', 'mit_b0'),
  spec('mmseg_segformer', 'mit_b0'),
  spec('hf_segformer', 'mit_b2'),
];
const EXPORTED = [spec('hf_segformer', 'mit_b0'), spec('mmseg_segformer', 'mit_b1')];
const isTrained = ({ backbone }: NetworkSpec) => backbone === 'mit_b0';

const fileOf = (one: NetworkSpec, ending: string) => join(folder, keyOf(one) + ending);
const imageFile = (shape: readonly number[]) => join(folder, `image-${shape.join('x')}.f32`);
const viewOf = (one: NetworkSpec, shape: readonly number[], ending = '') => {
  const out = fileOf(one, `.${shape.join('x')}${ending}.f32`);
  return { image: imageFile(shape), shape, out };
};

let answer: Answer = { keys: {}, saved: {} };
const outputs = new Map<string, Float32Array[]>();

before(async () => {
  for (const shape of IMAGE_SHAPES) writeFileSync(imageFile(shape), imageValues(shape));
  for (const one of EXPORTED) exportOne(one);
  const asPeer = (one: NetworkSpec) => {
    const { model, backbone, numClasses: num_classes } = one;
    return { name: keyOf(one), model, backbone, num_classes };
  };
  const plan = {
    keys: PACKAGED.map(asPeer),
    saved: SAVED.map((one, seed) => ({
      ...asPeer(one),
      ...{ weights: fileOf(one, '.pth'), seed, train: isTrained(one) },
      views: IMAGE_SHAPES.map((shape) => viewOf(one, shape)),
    })),
    loaded: EXPORTED.map((one) => ({
      ...asPeer(one),
      ...{ weights: fileOf(one, '.exported.pth') },
      view: viewOf(one, IMAGE_SHAPES[0]!, '.exported'),
    })),
  };
  const planFile = join(folder, 'plan.json');
  writeFileSync(planFile, JSON.stringify(plan));
  answer = await transformersPeer<Answer>(PEER, planFile);
});

/** Writes the .pth file, and keeps what the network gives here. */
function exportOne(one: NetworkSpec): void {
  const network = SegmentationNetwork.create(one, (name, ...rest) =>
    recipeWeights(name.replace('in_proj_', 'in_proj.'), ...rest),
  );
  const classNames = Array.from({ length: CLASSES }, (_, index) => `class ${index}`);
  const description = { spec: one, normalisation: TORCHVISION_NORMALISATION, classNames };
  const file = writeModelFile(description, network.stateDict());
  writeFileSync(fileOf(one, '.exported.pth'), exportModel(file).bytes);
  outputs.set(keyOf(one), evaluated(network, IMAGE_SHAPES[0]!));
  network.dispose();
}

test('state dicts: names, shapes, dtypes and order are those of the packages', () => {
  assert.equal(PACKAGED.length, 12);
  for (const one of PACKAGED) {
    assert.deepEqual(networkEntries(one), answer.keys[keyOf(one)], keyOf(one));
  }
});

for (const one of EXPORTED) {
  test(`${keyOf(one)}: the package loads what is exported, strictly; the same outputs`, () => {
    checkOutputs(outputs.get(keyOf(one))!, viewOf(one, IMAGE_SHAPES[0]!, '.exported').out);
  });
}

for (const one of SAVED) {
  test(`${keyOf(one)}: cirkd import of the package's file, the same outputs and gradients`, async () => {
    const out = fileOf(one, '.safetensors');
    assert.equal(await importCommand.run([fileOf(one, '.pth'), '--out', out]), 0);
    const { description, tensors } = readModelFile(readFileSync(out));
    assert.deepEqual(description.spec, one);
    if (one.model.startsWith('mmseg_')) {
      // From the config and the classes that mmengine's runner saves beside the weights.
      assert.equal(description.classNames[1], 'thing 1');
      assert.deepEqual(description.normalisation, TORCHVISION_NORMALISATION);
    }
    const network = SegmentationNetwork.load(description.spec, tensors);
    for (const shape of IMAGE_SHAPES) {
      const view = viewOf(one, shape);
      checkOutputs(evaluated(network, shape), view.out);
    }
    if (isTrained(one)) {
      for (const shape of IMAGE_SHAPES) checkGradients(one, network, tensors, shape);
    }
    network.dispose();
  });
}

function checkGradients(
  one: NetworkSpec,
  network: SegmentationNetwork,
  tensors: ReturnType<typeof readModelFile>['tensors'],
  shape: readonly number[],
): void {
  network.loadStateDict(tensors, { strict: true });
  const { gradients, buffers } = trained(network, shape);
  const own = new Map([...gradients, ...buffers]);
  const names = answer.saved[keyOf(one)]!;
  assert.deepEqual([...names].sort(), [...own.keys()].sort());
  const { out } = viewOf(one, shape);
  const wanted = { single: readArrays(`${out}.train32`), double: readArrays(`${out}.train64`) };
  let [largest, apart, theirs, at] = [0, 0, 0, 0];
  const learnt = new Set(gradients.map(([name]) => name));
  for (const name of names) {
    const values = own.get(name)!;
    const [single, double] = [wanted.single, wanted.double].map((all) =>
      all.subarray(at, at + values.length),
    );
    at += values.length;
    const of = { largest: 0, apart: 0, theirs: 0 };
    for (const [i, value] of values.entries()) {
      const difference = Math.abs(value - double![i]!);
      if (!learnt.has(name)) {
        assert.ok(difference <= 1e-4 * Math.max(1, Math.abs(double![i]!)), `${name} ${i}`);
        continue;
      }
      of.largest = Math.max(of.largest, Math.abs(double![i]!));
      of.apart = Math.max(of.apart, difference);
      of.theirs = Math.max(of.theirs, Math.abs(single![i]! - double![i]!));
    }
    // Some gradients are nothing but rounding: a key's bias, which the softmax takes away again.
    const allowed = GRADIENT_TOLERANCE * of.largest + 8 * of.theirs;
    assert.ok(of.apart <= allowed, `${name}: ${of.apart} apart, allowed ${allowed}`);
    largest = Math.max(largest, of.largest);
    apart = Math.max(apart, of.apart);
    theirs = Math.max(theirs, of.theirs);
  }
  assert.equal(at, wanted.double.length);
  assert.ok(largest > 0, 'nothing but zeros is wanted');
  const text = `${apart / largest} of the largest apart, PyTorch's own float32 ${theirs / largest}`;
  process.stderr.write(`${keyOf(one)} ${shape}: gradients ${text}\n`);
  assert.ok(apart <= GRADIENT_TOLERANCE * largest, text);
}

function readArrays(path: string): Float32Array {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}
