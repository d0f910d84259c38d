/** Names, shapes and dtypes of every network against the official code's state dicts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SegmentationNetwork } from '../../src/models/network.js';
import { type NetworkSpec, specName } from '../../src/models/spec.js';
import { elementCount } from '../../src/wire/safetensors.js';

interface OfficialNetwork {
  readonly num_classes: number;
  readonly parameters: number;
  readonly entries: readonly [string, number[], string, 'param' | 'buffer'][];
}

const dicts = JSON.parse(
  readFileSync(new URL('data/state_dicts.json', import.meta.url), 'utf8'),
) as Record<string, OfficialNetwork | { same_as: string }>;

for (const [key, given] of Object.entries(dicts)) {
  test(`state dict of ${key}: names, shapes and dtypes, in order`, () => {
    const official = ('same_as' in given ? dicts[given.same_as] : given) as OfficialNetwork;
    const [model, backbone, variant] = key.split(/[-/]/);
    const spec = {
      model,
      backbone,
      variant,
      numClasses: official.num_classes,
      widthMultiplier: 1,
    } as NetworkSpec;
    assert.equal(specName(spec), key);
    const network = SegmentationNetwork.create(
      spec,
      (_, shape) => new Float32Array(elementCount(shape)),
    );
    const entries = network.state.entries.map((entry) => [
      entry.name,
      [...entry.shape],
      entry.kind === 'counter' ? 'int64' : 'float32',
      entry.kind === 'parameter' ? 'param' : 'buffer',
    ]);
    assert.deepEqual(entries, official.entries);
    const size = network.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
    assert.equal(size, official.parameters);
    network.dispose();
  });
}
