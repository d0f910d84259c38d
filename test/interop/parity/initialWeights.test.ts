/** The weights that a network starts from, beside PyTorch's with the official code's rules: deviation and reach of each. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { initialWeights } from '../../../src/models/initialise.js';
import { namedCount, namedFloats } from '../../../src/models/namedValues.js';
import { SegmentationNetwork } from '../../../src/models/network.js';
import { ProjectionHead } from '../../../src/models/projectionHead.js';
import type { NetworkSpec } from '../../../src/models/spec.js';
import type { NamedTensor } from '../../../src/wire/safetensors.js';
import { torchPeer } from '../../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('initialWeightsPeer.py', import.meta.url));
const CLASSES = 11;
const NETWORKS = [
  { name: 'deeplab_mobile', model: 'deeplab_mobile', backbone: 'mobilenetv2' },
  { name: 'psp_mobile', model: 'psp_mobile', backbone: 'mobilenetv2' },
  { name: 'deeplabv3', model: 'deeplabv3', backbone: 'resnet18' },
  { name: 'psp', model: 'psp', backbone: 'resnet18' },
] as const;

type Figures = readonly [deviation: number, mean: number, largest: number, count: number];
type Distribution = Readonly<Record<string, Figures>>;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-initial-'));
after(() => rmSync(folder, { recursive: true }));
let wanted: Readonly<Record<string, Distribution>> = {};

before(async () => {
  const plan = join(folder, 'plan.json');
  writeFileSync(plan, JSON.stringify(NETWORKS.map((one) => ({ ...one, classes: CLASSES }))));
  wanted = await torchPeer(PEER, plan);
});

function figures(name: string, tensor: NamedTensor): Figures {
  const values =
    tensor.dtype === 'I64' ? [namedCount(name, tensor)] : [...namedFloats(name, tensor)];
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return [Math.sqrt(square), mean, largest, values.length];
}

/** Names of entries whose values don't look drawn from PyTorch's distribution. Biases are 0 here (docs/parity.md). */
function strangers(state: ReadonlyMap<string, NamedTensor>, like: Distribution): string[] {
  assert.deepEqual([...state.keys()], Object.keys(like));
  return [...state].flatMap(([name, tensor]) => {
    const [deviation, mean, largest, count] = figures(name, tensor);
    const [theirs, , theirLargest] = like[name]!;
    const isMade = tensor.dtype === 'I64' || count < 2 || tensor.shape.length === 1;
    if (isMade) return isBias(name, state) && largest === 0 ? [] : same(name, largest, like[name]!);
    // Both deviations are estimates: five standard errors of their difference, of a normal distribution.
    const close = Math.abs(Math.log(deviation / theirs)) < 5 / Math.sqrt(count);
    const centred = Math.abs(mean) < (5 * deviation) / Math.sqrt(count);
    // Uniform values end at a bound, normal ones don't: 1.73 deviations against 3 or more.
    const shaped = count < 500 || Math.abs(largest / deviation - theirLargest / theirs) < 1.2;
    const text = `${name}: deviation ${deviation}, ${theirs} wanted; largest ${largest}, ${theirLargest} wanted`;
    return close && centred && shaped ? [] : [text];
  });
}

/** A bias of a convolution: norms have running statistics. */
function isBias(name: string, state: ReadonlyMap<string, NamedTensor>): boolean {
  return name.endsWith('bias') && !state.has(name.replace(/bias$/, 'running_var'));
}

/** Norms and counts begin with the same constants. */
function same(name: string, largest: number, [, , theirs]: Figures): string[] {
  return largest === theirs ? [] : [`${name}: ${largest}, ${theirs} wanted`];
}

for (const { name, model, backbone } of NETWORKS) {
  test(`${model} on ${backbone}: every weight begins as the official code draws it`, () => {
    const spec: NetworkSpec = {
      ...{ model, backbone, variant: 'v1', numClasses: CLASSES, widthMultiplier: 1 },
    };
    const network = SegmentationNetwork.create(spec, initialWeights(3));
    const found = strangers(network.stateDict(), wanted[name]!);
    network.dispose();
    assert.deepEqual(found, []);
  });
}

test('a projection head begins as PyTorch’s modules do', () => {
  const head = ProjectionHead.create(128, 256, initialWeights(3));
  const found = strangers(head.stateDict(), wanted.projection!);
  head.dispose();
  assert.deepEqual(found, []);
});

test('fan-in in place of fan-out, and a normal distribution in place of a uniform one, are found', () => {
  const spec: NetworkSpec = {
    ...{ model: 'deeplab_mobile', backbone: 'mobilenetv2', variant: 'v1' },
    ...{ numClasses: CLASSES, widthMultiplier: 1 },
  };
  const all = initialWeights(3);
  const wrong = SegmentationNetwork.create(spec, (name, shape, role, initialisation) =>
    all(name, shape, role, initialisation === 'module' ? 'backbone' : 'module'),
  );
  const found = strangers(wrong.stateDict(), wanted.deeplab_mobile!).map(
    (text) => text.split(':')[0],
  );
  wrong.dispose();
  assert.ok(found.includes('pretrained.net.features.2.conv.3.weight'), found.join());
  assert.ok(found.includes('head.aspp.project.0.weight'), found.join());
});
