/**
 * Every network of the zoo against the same network in PyTorch (test/support/torch): what is exported
 * here loads there with strict=True, and outputs, running statistics and gradients agree; what
 * torch.save wrote there is imported here.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { command as importCommand } from '../../services/cli/commands/import.js';
import { loadBackboneWeights } from '../../src/models/files/backboneWeights.js';
import { exportModel } from '../../src/models/files/exportModel.js';
import { readImportSource } from '../../src/models/files/importModel.js';
import { initialWeights } from '../../src/models/initialise.js';
import { readModelFile, writeModelFile } from '../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { OFFICIAL_NORMALISATION } from '../../src/models/normalise.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { type NetworkEntry, networkEntries } from '../support/modelFiles/networkEntries.js';
import { torchPeer } from '../support/peers/torchPeer.js';
import { checkOutputs, checkTraining } from './zooComparison.js';
import {
  allSpecs,
  comparedSpecs,
  IMAGE_SHAPE,
  imageShape,
  isTrained,
  keyOf,
  SAVED,
  TRAINED_IMAGE_SHAPE,
  torchSpec,
} from './zooPlan.js';
import { evaluated, imageValues, recipeWeights, type TrainedArrays, trained } from './zooSides.js';

const PEER = fileURLToPath(new URL('zooPeer.py', import.meta.url));
const CLASSES = 5;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-zoo-'));
after(() => rmSync(folder, { recursive: true }));

const compared = comparedSpecs(CLASSES);
const outputs = new Map<string, Float32Array[]>();
const trainings = new Map<string, TrainedArrays>();
let keys: Record<string, NetworkEntry[]> = {};

const fileOf = (spec: NetworkSpec, ending: string) =>
  join(folder, `${keyOf(spec).replace('/', '-')}${ending}`);
const imageFile = (shape: readonly number[]) => join(folder, `image-${shape.join('x')}.f32`);

before(async () => {
  for (const shape of [IMAGE_SHAPE, TRAINED_IMAGE_SHAPE]) {
    writeFileSync(imageFile(shape), imageValues(shape));
  }
  for (const spec of compared) exportOne(spec);
  const entry = (spec: NetworkSpec, ending: string) => ({
    ...torchSpec(spec),
    image: imageFile(imageShape(spec)),
    shape: imageShape(spec),
    weights: fileOf(spec, `${ending}.pth`),
    out: fileOf(spec, `${ending}.f32`),
  });
  const plan = {
    keys: allSpecs(CLASSES).map(torchSpec),
    loaded: compared.map((spec) => ({ ...entry(spec, '.exported'), train: isTrained(spec) })),
    published: [],
    saved: SAVED.map(({ spec, nested }, seed) => ({ ...entry(spec, '.saved'), nested, seed })),
  };
  const planFile = join(folder, 'plan.json');
  writeFileSync(planFile, JSON.stringify(plan));
  ({ keys } = await torchPeer<{ keys: Record<string, NetworkEntry[]> }>(PEER, planFile));
});

/** Writes the .pth file, and keeps what the network gives here. */
function exportOne(spec: NetworkSpec): void {
  const network = SegmentationNetwork.create(spec, recipeWeights);
  const classNames = Array.from({ length: CLASSES }, (_, index) => `class ${index}`);
  const description = { spec, normalisation: OFFICIAL_NORMALISATION, classNames };
  const file = writeModelFile(description, network.stateDict());
  writeFileSync(fileOf(spec, '.exported.pth'), exportModel(file).bytes);
  outputs.set(keyOf(spec), evaluated(network, imageShape(spec)));
  if (isTrained(spec)) trainings.set(keyOf(spec), trained(network, imageShape(spec)));
  network.dispose();
}

for (const spec of compared) {
  const width = spec.widthMultiplier === 1 ? '' : ` x${spec.widthMultiplier}`;
  test(`${keyOf(spec)}${width}: strict load, logits, feature, aux`, () => {
    checkOutputs(outputs.get(keyOf(spec))!, fileOf(spec, '.exported.f32'));
  });
}

test('state dicts at full width: names, shapes, dtypes and order are those of PyTorch', () => {
  for (const spec of allSpecs(CLASSES)) {
    assert.deepEqual(networkEntries(spec), keys[keyOf(spec)], keyOf(spec));
  }
});

for (const { spec, nested } of SAVED) {
  const saved = fileOf(spec, '.saved.pth');
  if (!nested) {
    test(`${keyOf(spec)} saved by PyTorch with 'module.': cirkd import, the same outputs`, async () => {
      const out = fileOf(spec, '.imported.safetensors');
      assert.equal(await importCommand.run([saved, '--out', out]), 0);
      const { description, tensors } = readModelFile(readFileSync(out));
      assert.deepEqual(description.spec, spec);
      const network = SegmentationNetwork.load(description.spec, tensors);
      checkOutputs(evaluated(network, imageShape(spec)), fileOf(spec, '.saved.f32'));
      network.dispose();
    });
  }
  test(`${keyOf(spec)}${nested ? ' with torchvision names' : ''}: a backbone's file`, () => {
    const heads = [...readImportSource(readFileSync(saved)).tensors].filter(
      ([name]) => !name.startsWith('pretrained.'),
    );
    const network = SegmentationNetwork.create(spec, initialWeights(1));
    network.loadStateDict(new Map(heads), { strict: false });
    loadBackboneWeights(network, readImportSource(readFileSync(`${saved}.backbone`)).tensors);
    checkOutputs(evaluated(network, imageShape(spec)), fileOf(spec, '.saved.f32'));
    network.dispose();
  });
}

const training = compared.filter(isTrained);
assert.ok(training.length >= 6, `${training.length} networks are trained`);

for (const spec of training) {
  test(`${keyOf(spec)} in training mode: gradients and running statistics`, () => {
    checkTraining(trainings.get(keyOf(spec))!, fileOf(spec, '.exported.f32'));
  });
}
