/** Real PyTorch takes what `cirkd export` writes, and what it saves is read here. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exportModel } from '../../src/models/files/exportModel.js';
import { readImportSource } from '../../src/models/files/importModel.js';
import { initialWeights } from '../../src/models/initialise.js';
import { writeModelFile } from '../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { OFFICIAL_NORMALISATION } from '../../src/models/normalise.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { readTorchCheckpoint } from '../../src/wire/torch/torchCheckpoint.js';
import { type Described, described } from '../support/modelFiles/describedTensors.js';
import { torchPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('torchPeer.py', import.meta.url));
const CLASSES = 19;

const dicts = JSON.parse(
  readFileSync(new URL('../golden/data/state_dicts.json', import.meta.url), 'utf8'),
) as Record<string, { entries: unknown[] } | { same_as: string }>;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-torch-'));
after(() => rmSync(folder, { recursive: true }));

const peer = <T>(...args: string[]) => torchPeer<T>(PEER, ...args);

/** Of the official network of this name. */
function entriesOf(key: string): unknown[] {
  const dict = dicts[key]!;
  return 'same_as' in dict ? entriesOf(dict.same_as) : dict.entries;
}

const SPECS = [
  { model: 'deeplab_mobile', backbone: 'mobilenetv2', variant: 'v1' },
  { model: 'psp_mobile', backbone: 'mobilenetv2', variant: 'v2' },
  { model: 'deeplabv3', backbone: 'resnet18', variant: 'v2' },
] as const;

for (const names of SPECS) {
  const key = `${names.model}-${names.backbone}/${names.variant}`;
  test(`${key}: torch.load(weights_only=True), load_state_dict(strict=True)`, async () => {
    const spec: NetworkSpec = { ...names, numClasses: CLASSES, widthMultiplier: 1 };
    const network = SegmentationNetwork.create(spec, initialWeights(3));
    const state = network.stateDict();
    network.dispose();
    const classNames = Array.from({ length: CLASSES }, (_, index) => `class ${index}`);
    const description = { spec, normalisation: OFFICIAL_NORMALISATION, classNames };
    const file = join(folder, 'exported.pth');
    const entries = join(folder, 'entries.json');
    writeFileSync(file, exportModel(writeModelFile(description, state)).bytes);
    writeFileSync(entries, JSON.stringify(entriesOf(key)));
    assert.deepEqual(await peer<Described>('load', file, entries), described(state));
  });
}

test('every dtype, stride and sharing that torch.save writes is read', async () => {
  const expected = await peer<Record<string, Described>>('save', folder);
  assert.ok(Object.keys(expected).length >= 7, Object.keys(expected).join());
  for (const [name, tensors] of Object.entries(expected)) {
    const bytes = readFileSync(join(folder, name));
    assert.deepEqual(described(readTorchCheckpoint(bytes)), tensors, name);
  }
  const stripped = readImportSource(readFileSync(join(folder, 'module.pth'))).tensors;
  assert.deepEqual(described(stripped), expected['plain.pth']);
});
