/** Detection of networks from the names and shapes of their weights. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { detectNetwork, type KnownSpec } from '../../src/models/files/detectNetwork.js';
import { isSegformer } from '../../src/models/segformer.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { ZOO } from '../../src/models/zoo.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import { networkEntries } from '../support/modelFiles/networkEntries.js';

type Entries = readonly (readonly [name: string, shape: number[]])[];

const dicts = JSON.parse(
  readFileSync(new URL('../golden/data/state_dicts.json', import.meta.url), 'utf8'),
) as Record<string, { num_classes: number; entries: Entries } | { same_as: string }>;

function entriesOf(key: string): Entries {
  const dict = dicts[key]!;
  return 'same_as' in dict ? entriesOf(dict.same_as) : dict.entries;
}

/** Shapes only: detection reads no values. */
function shapes(entries: Entries): Map<string, NamedTensor> {
  return new Map(
    entries.map(([name, shape]) => [name, { dtype: 'F32', shape, data: new Uint8Array(0) }]),
  );
}

/** What the network of a spec has, without making it. */
function collected(spec: NetworkSpec): [name: string, shape: number[]][] {
  return networkEntries(spec).map(([name, shape]) => [name, shape]);
}

for (const key of Object.keys(dicts)) {
  const [model, backbone, variant] = key.split(/[-/]/);
  const entries = entriesOf(key);
  // Where v1 and v2 are the same network, the result is v1.
  const twin = entriesOf(key.replace(/v2$/, 'v1'));
  const expectedVariant = JSON.stringify(twin) === JSON.stringify(entries) ? 'v1' : variant;
  test(`${key} is detected from its shapes`, () => {
    const spec = { model, backbone, variant: expectedVariant, numClasses: 19, widthMultiplier: 1 };
    assert.deepEqual(detectNetwork(shapes(entries), {}), spec);
  });
}

test('widths are detected from the channel counts', () => {
  const networks = [
    { model: 'deeplab_mobile', backbone: 'mobilenetv2', variant: 'v1' },
    { model: 'deeplabv3', backbone: 'resnet18', variant: 'v2' },
    { model: 'psp', backbone: 'resnet18', variant: 'v1' },
  ] as const;
  for (const network of networks) {
    for (const widthMultiplier of [0.125, 0.25, 0.5, 0.6, 0.75, 1.5]) {
      const spec = { ...network, numClasses: 5, widthMultiplier };
      const entries = collected(spec);
      const detected = detectNetwork(shapes(entries), {});
      // Another width may have the same channels, so the test only requires that the weights fit.
      assert.deepEqual({ ...detected, widthMultiplier }, spec);
      assert.deepEqual(collected(detected), entries, `${widthMultiplier}`);
    }
  }
});

test('at every width of every network, the detected one has the same shapes', () => {
  const widths = (parts: readonly number[]) =>
    new Set(parts.flatMap((of) => Array.from({ length: 2 * of }, (_, index) => (index + 1) / of)));
  // Hundredths in steps of seven: they end in every digit.
  const hundredths = Array.from({ length: 28 }, (_, index) => (7 * (index + 1)) / 100);
  const [all, some] = [new Set([...widths([4, 8, 16, 10, 20]), ...hundredths]), widths([16, 20])];
  for (const { model, backbone } of ZOO) {
    // The others differ in the number of blocks or the stem; rounding affects them in the same way.
    const isOfficial = ['resnet18', 'resnet101', 'mobilenetv2'].includes(backbone);
    for (const variant of ['v1', 'v2'] as const) {
      const tried = isSegformer(model) ? [1] : isOfficial ? all : some;
      for (const widthMultiplier of tried) {
        const spec = { model, backbone, variant, numClasses: 11, widthMultiplier };
        const wanted = collected(spec);
        const detected = detectNetwork(shapes(wanted), {});
        // The same network has the same shapes.
        if (isDeepStrictEqual(detected, spec)) continue;
        const where = `${model} ${backbone} ${variant} at ${widthMultiplier}`;
        assert.deepEqual(collected(detected), wanted, where);
      }
    }
  }
});

test('known fields are not detected', () => {
  const tensors = shapes(entriesOf('deeplabv3-resnet18/v2'));
  const known = { variant: 'v1', numClasses: 3, widthMultiplier: 0.5 } as const;
  const spec = { model: 'deeplabv3', backbone: 'resnet18', ...known };
  assert.deepEqual(detectNetwork(tensors, known), spec);
});

test('errors name what cannot be detected', () => {
  const refusal = (tensors: Map<string, NamedTensor>, known: KnownSpec = {}) => {
    try {
      detectNetwork(tensors, known);
    } catch (error) {
      assert.ok(error instanceof CheckpointError, `${error}`);
      return error.message;
    }
    return assert.fail('was told');
  };
  const without = (pattern: RegExp) =>
    shapes(entriesOf('deeplabv3-resnet18/v1').filter(([name]) => !pattern.test(name)));
  const with_ = (name: string, shape: number[]) =>
    shapes([...entriesOf('deeplabv3-resnet18/v1'), [name, shape]]);
  assert.match(
    refusal(without(/^pretrained/)),
    /^backbone: can't be detected, the weights are head\./,
  );
  assert.match(refusal(with_('pretrained.layer3.2.x', [1])), /a ResNet of 2,2,3,2 basic blocks/);
  assert.match(refusal(without(/^head\.aspp/)), /^model: can't be detected, 0 kinds of heads/);
  assert.match(
    refusal(with_('head.psp.conv1.0.weight', [1])),
    /^model: can't be detected, 2 kinds/,
  );
  assert.match(
    refusal(without(/^head\.block\.4/)),
    /^classes: can't be detected, head\.block\.4\.weight/,
  );
  assert.match(
    refusal(without(/^head\.block\.[01]/)),
    /^variant: can't be detected, head\.block\.0/,
  );
  assert.match(refusal(with_('head.block.0.weight', [99])), /has 99 channels; v1 has 128, v2 512/);
  assert.match(
    refusal(with_('pretrained.conv1.weight', [63])),
    /^width: can't be detected, channels are/,
  );
});
