/**
 * Networks of torchvision and mmsegmentation against the packages themselves: files that they write are
 * imported here, outputs, gradients and running statistics agree; they load what is exported here with
 * strict=True.
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
import type { NetworkSpec } from '../../src/models/spec.js';
import { type NetworkEntry, networkEntries } from '../support/modelFiles/networkEntries.js';
import { packagesPeer } from '../support/peers/torchPeer.js';
import { checkOutputs, checkTraining } from './zooComparison.js';
import {
  EXPORTED_PACKAGES,
  IMAGE_SHAPE,
  PACKAGE_IMAGE_SHAPES,
  packageKey,
  packageSpec,
  publishedSpecs,
  TRAINED_PACKAGES,
} from './zooPlan.js';
import { evaluated, imageValues, recipeWeights, segmented, trained } from './zooSides.js';

const PEER = fileURLToPath(new URL('zooPeer.py', import.meta.url));
const CLASSES = 5;

interface Answer {
  readonly keys: Record<string, NetworkEntry[]>;
  readonly published: Record<string, { mean: number[]; std: number[]; rgb: boolean }>;
}

const folder = mkdtempSync(join(tmpdir(), 'cirkd-published-'));
after(() => rmSync(folder, { recursive: true }));

const specs = publishedSpecs(CLASSES);
const exported = specs.filter((spec) => EXPORTED_PACKAGES.includes(packageKey(spec)));
const outputs = new Map<string, Float32Array[]>();
let answer: Answer = { keys: {}, published: {} };

const fileOf = (spec: NetworkSpec, ending: string) =>
  join(folder, `${packageKey(spec).replace(' ', '-')}${ending}`);
const imageFile = (shape: readonly number[]) => join(folder, `image-${shape.join('x')}.f32`);
const viewFile = (spec: NetworkSpec, shape: readonly number[]) =>
  fileOf(spec, `.${shape.join('x')}.f32`);

before(async () => {
  for (const shape of [IMAGE_SHAPE, ...PACKAGE_IMAGE_SHAPES]) {
    writeFileSync(imageFile(shape), imageValues(shape));
  }
  for (const spec of exported) exportOne(spec);
  const view = (shape: readonly number[], out: string) => ({ image: imageFile(shape), shape, out });
  const plan = {
    keys: specs.map(packageSpec),
    loaded: exported.map((spec) => ({
      ...packageSpec(spec),
      ...view(IMAGE_SHAPE, fileOf(spec, '.exported.f32')),
      ...{ weights: fileOf(spec, '.exported.pth'), train: false },
    })),
    saved: [],
    published: specs.map((spec, seed) => ({
      ...packageSpec(spec),
      ...{ weights: fileOf(spec, '.pth'), seed, train: isTrained(spec) },
      views: PACKAGE_IMAGE_SHAPES.map((shape) => view(shape, viewFile(spec, shape))),
    })),
  };
  const planFile = join(folder, 'plan.json');
  writeFileSync(planFile, JSON.stringify(plan));
  answer = await packagesPeer<Answer>(PEER, planFile);
});

function isTrained(spec: NetworkSpec): boolean {
  return TRAINED_PACKAGES.includes(packageKey(spec));
}

/** Writes the .pth file, and keeps what the network gives here. */
function exportOne(spec: NetworkSpec): void {
  const network = SegmentationNetwork.create(spec, recipeWeights);
  const classNames = Array.from({ length: CLASSES }, (_, index) => `class ${index}`);
  const description = { spec, normalisation: TORCHVISION_NORMALISATION, classNames };
  const file = writeModelFile(description, network.stateDict());
  writeFileSync(fileOf(spec, '.exported.pth'), exportModel(file).bytes);
  outputs.set(packageKey(spec), evaluated(network, IMAGE_SHAPE));
  network.dispose();
}

test('state dicts: names, shapes, dtypes and order are those of the packages', () => {
  assert.ok(specs.length >= 12, `${specs.length} networks`);
  for (const spec of specs) {
    assert.deepEqual(networkEntries(spec), answer.keys[packageKey(spec)], packageKey(spec));
  }
});

for (const spec of exported) {
  test(`${packageKey(spec)}: the package loads what is exported, strictly; the same outputs`, () => {
    checkOutputs(outputs.get(packageKey(spec))!, fileOf(spec, '.exported.f32'));
  });
}

for (const spec of specs) {
  test(`${packageKey(spec)}: cirkd import of the package's file, the same outputs`, async () => {
    const saved = fileOf(spec, '.pth');
    const out = fileOf(spec, '.safetensors');
    assert.equal(await importCommand.run([saved, '--out', out]), 0);
    rmSync(saved);
    const { description, tensors } = readModelFile(readFileSync(out));
    rmSync(out);
    assert.deepEqual(description.spec, spec);
    checkPixels(spec, description.normalisation);
    const network = SegmentationNetwork.load(description.spec, tensors);
    assert.equal(network.alignCorners, spec.alignCorners ?? false);
    if (spec.model.startsWith('mmseg_')) assert.equal(description.classNames[1], 'thing 1');
    for (const shape of PACKAGE_IMAGE_SHAPES) {
      checkOutputs(evaluated(network, shape), viewFile(spec, shape));
      checkOutputs([segmented(network, shape)], `${viewFile(spec, shape)}.full`, ['full size']);
    }
    const last = PACKAGE_IMAGE_SHAPES.at(-1)!;
    if (isTrained(spec)) checkTraining(trained(network, last), viewFile(spec, last));
    network.dispose();
  });
}

/** The normalisation of the imported file is what the package itself does. */
function checkPixels(spec: NetworkSpec, normalisation: typeof TORCHVISION_NORMALISATION): void {
  const { mean, std, rgb } = answer.published[packageKey(spec)]!;
  const near = (got: readonly number[], wanted: readonly number[]) =>
    assert.ok(
      got.every((value, i) => Math.abs(value - wanted[i]!) < 1e-9),
      `${got}, wanted ${wanted}`,
    );
  near(normalisation.pixelMean, mean);
  near(normalisation.pixelStd, std);
  assert.equal(normalisation.channelOrder === 'rgb', rgb);
}
