/** Whole networks against numbers of the official code: forward, gradients, names and shapes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compare } from '../../src/conformance/compare.js';
import { FileCase } from '../../src/conformance/fileCase.js';
import { GoldenSet } from '../../src/conformance/goldenSet.js';
import type { HostTensor } from '../../src/conformance/operation.js';
import { type WeightRecipe, weightValues } from '../../src/conformance/recipe.js';
import { channelsFirst, channelsLast, IGNORED, labelMaps } from '../../src/conformance/tensors.js';
import { taskCe } from '../../src/losses/taskCe.js';
import { inferenceContext } from '../../src/models/context.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { type NetworkSpec, specName } from '../../src/models/spec.js';
import { numTensors, ops, scalar, scope, Tape, type Tensor } from '../../src/tensor/index.js';
import { alignedBytes } from '../../src/wire/safetensors.js';

const directory = fileURLToPath(new URL('data', import.meta.url));
const set = new GoldenSet(directory);

function networkOf(golden: FileCase): SegmentationNetwork {
  const spec = {
    model: golden.text('model'),
    backbone: golden.text('backbone'),
    variant: golden.text('variant'),
    numClasses: golden.number('num_classes'),
    widthMultiplier: 1,
  } as NetworkSpec;
  const recipe = golden.params['weights'] as WeightRecipe;
  return SegmentationNetwork.create(spec, (name, shape) => weightValues(recipe, name, shape));
}

function statistics({ data }: HostTensor): HostTensor {
  const values = Array.from(data as Float32Array);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { data: Float32Array.of(mean, Math.sqrt(variance)), shape: [2] };
}

function forwardResults(golden: FileCase): Map<string, HostTensor> {
  const results = new Map<string, HostTensor>();
  const put = (key: string, tensor: Tensor) => {
    const values = channelsFirst(tensor);
    results.set(key, values);
    results.set(`stats/${key}`, statistics(values));
    const sizes = Int32Array.from(values.shape);
    results.set(`${key}_shape`, { data: sizes, shape: [sizes.length] });
  };
  const network = networkOf(golden);
  scope(() => {
    const context = {
      ...inferenceContext(),
      observe: (stage: string, { value }: { value: Tensor }) => put(`stage/${stage}`, value),
    };
    const image = context.tape.constant(channelsLast(golden.float32('image')));
    const { logits, aux, feature } = network.forward(context, image);
    put('logits', logits.value);
    if (aux !== null) put('aux', aux.value);
    put('embedding', feature.value);
    context.tape.dispose();
  });
  network.dispose();
  return results;
}

function backwardResults(golden: FileCase): Map<string, HostTensor> {
  const network = networkOf(golden);
  const results = new Map<string, HostTensor>();
  scope(() => {
    const tape = new Tape(true);
    const context = { ...inferenceContext(), tape };
    const image = tape.leaf(channelsLast(golden.float32('image')));
    const { logits, aux } = network.forward(context, image);
    const labels = labelMaps(golden.int32('labels'), -1);
    const main = taskCe(logits.value, labels, IGNORED);
    let loss = main.loss;
    const seeds: [typeof logits, Tensor][] = [[logits, main.gradient_NhwK]];
    if (aux !== null) {
      const weight = golden.number('aux_weight');
      const part = taskCe(aux.value, labels, IGNORED);
      loss += weight * part.loss;
      seeds.push([aux, ops.mul(part.gradient_NhwK, scalar(weight))]);
    }
    const gradients = tape.backward(seeds);
    results.set('loss', { data: Float32Array.of(loss), shape: [] });
    results.set('grad/image', channelsFirst(gradients.leaves.get(image)!));
    for (const [parameter, gradient] of gradients.parameters) {
      const { data, shape } = readOfficial(network.officialLayout(parameter, gradient));
      results.set(`grad/${parameter.name}`, { data, shape });
    }
  });
  network.dispose();
  return results;
}

function readOfficial(tensor: ReturnType<SegmentationNetwork['officialLayout']>): {
  data: Float32Array;
  shape: readonly number[];
} {
  return { data: new Float32Array(alignedBytes(tensor)), shape: tensor.shape };
}

for (const record of set.cases) {
  const run =
    record.op === 'model_forward'
      ? forwardResults
      : record.op === 'model_backward'
        ? backwardResults
        : null;
  if (run === null) continue;
  test(`${record.op} ${record.name}`, (t) => {
    const golden = new FileCase(set, record);
    const before = numTensors();
    const results = run(golden);
    assert.equal(numTensors(), before, 'tensors left over');
    let worst = 0;
    for (const key of golden.expectedKeys) {
      const got = results.get(key);
      assert.ok(got, `${key}: no result`);
      const comparison = compare(
        got,
        golden.expected(key),
        record.tolerance[key]!,
        record.subsample?.[key],
      );
      worst = Math.max(worst, comparison.worst);
      assert.ok(comparison.worst <= 1, `${key}: ${comparison.reason ?? comparison.worst}`);
    }
    t.diagnostic(`worst |error| / tolerance ${worst.toFixed(3)}`);
  });
}

interface OfficialNetwork {
  readonly num_classes: number;
  readonly parameters: number;
  readonly entries: readonly [string, number[], string, 'param' | 'buffer'][];
}

const dicts = JSON.parse(readFileSync(`${directory}/state_dicts.json`, 'utf8')) as Record<
  string,
  OfficialNetwork | { same_as: string }
>;

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
      (_, shape) => new Float32Array(shape.reduce((product, length) => product * length, 1)),
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
