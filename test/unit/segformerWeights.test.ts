/** Files of SegFormers and of their backbones in every form: detected, converted, or refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIT_FORMS, type MitFormName } from '../../src/models/backbones/mit/mitForm.js';
import { convertMit } from '../../src/models/backbones/mit/mitNames.js';
import { loadBackboneWeights } from '../../src/models/files/backboneWeights.js';
import { detectNetwork } from '../../src/models/files/detectNetwork.js';
import { detectBackboneName } from '../../src/models/foreign/backboneFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import { inferenceContext } from '../../src/models/context.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { SEGFORMERS, type SegformerName } from '../../src/models/segformer.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { checkSpec } from '../../src/models/zoo.js';
import { fill, numTensors, scope } from '../../src/tensor/index.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { float32Tensor, type NamedTensor, type NamedTensors } from '../../src/wire/safetensors.js';

const MODELS = Object.keys(SEGFORMERS) as SegformerName[];

const specOf = (model: SegformerName, backbone = 'mit_b0'): NetworkSpec => {
  return { model, backbone, variant: 'v1', numClasses: 5, widthMultiplier: 1 };
};

/** Drawn once: the tests only read them. */
const states = new Map<string, ReadonlyMap<string, NamedTensor>>();

function stateOf(model: SegformerName, seed: number): ReadonlyMap<string, NamedTensor> {
  const key = `${model} ${seed}`;
  let state = states.get(key);
  if (state === undefined) {
    const network = SegmentationNetwork.create(specOf(model), initialWeights(seed));
    state = network.stateDict();
    network.dispose();
    states.set(key, state);
  }
  return state;
}

/** The backbone's tensors of a new network, named without prefix. */
function backboneOf(model: SegformerName, seed = 1): Map<string, NamedTensor> {
  const { backbone } = SEGFORMERS[model].names;
  const prefix = backbone === '' ? '' : `${backbone}.`;
  const own = [...stateOf(model, seed)].filter(
    ([name]) => name.startsWith(prefix) && !/^linear_/.test(name),
  );
  return new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** deepEqual takes seconds for a network's weights. */
function assertSameData(got: Uint8Array, wanted: Uint8Array, what: string): void {
  assert.equal(Buffer.compare(got, wanted), 0, what);
}

const formOf = (model: SegformerName): MitFormName => SEGFORMERS[model].form;

const FILES: Readonly<Record<SegformerName, (own: NamedTensors) => NamedTensors>> = {
  // As NVIDIA publishes them: a classifier behind the backbone.
  segformer: (own) => new Map([...own, ['head.bias', float32Tensor(new Float32Array(9), [9])]]),
  hf_segformer: (own) =>
    new Map([...own].map(([name, tensor]) => [`segformer.encoder.${name}`, tensor])),
  mmseg_segformer: (own) => own,
};

test('each form is detected by its names and shapes', () => {
  for (const model of MODELS) {
    assert.deepEqual(detectNetwork(stateOf(model, 1), {}), specOf(model));
    assert.equal(detectBackboneName(backboneOf(model)), 'mit_b0');
    assert.equal(detectBackboneName(stateOf(model, 1)), null, 'a whole network is no backbone');
  }
});

test('a backbone goes through every other form and comes back unchanged', () => {
  for (const from of MODELS) {
    const before = backboneOf(from);
    for (const to of MODELS) {
      const [a, b] = [MIT_FORMS[formOf(from)], MIT_FORMS[formOf(to)]];
      const there = convertMit(before, a, b);
      const shapes = (tensors: NamedTensors) =>
        [...tensors].map(([name, { shape }]) => `${name} ${shape}`).sort();
      assert.deepEqual(shapes(there), shapes(backboneOf(to)), `${from} to ${to}`);
      const back = convertMit(there, b, a);
      for (const [name, { data }] of before) {
        assertSameData(back.get(name)!.data, data, `${from} to ${to}: ${name}`);
      }
    }
  }
});

test('published backbones of each form start networks of each form; the head stays', () => {
  for (const from of MODELS) {
    const file = FILES[from](backboneOf(from, 1));
    for (const to of MODELS) {
      const network = SegmentationNetwork.create(specOf(to), initialWeights(2));
      const before = stateOf(to, 2);
      const leftOut = loadBackboneWeights(network, file);
      assert.deepEqual(leftOut, from === 'segformer' ? ['head.bias'] : []);
      const state = network.stateDict();
      network.dispose();
      const { backbone } = SEGFORMERS[to].names;
      const converted = convertMit(
        backboneOf(from, 1),
        MIT_FORMS[formOf(from)],
        MIT_FORMS[formOf(to)],
      );
      for (const [name, { data }] of state) {
        const own = name.slice(backbone === '' ? 0 : backbone.length + 1);
        const isHead = name.startsWith('decode_head.') || name.startsWith('linear_');
        const wanted = isHead ? before.get(name)! : converted.get(own)!;
        assertSameData(data, wanted.data, `${from} to ${to}: ${name}`);
      }
    }
  }
});

test('what does not fit is named', () => {
  const refused = (work: () => unknown, wanted: RegExp) =>
    assert.throws(work, (error) => error instanceof CheckpointError && wanted.test(error.message));
  const state = stateOf('hf_segformer', 1);
  const without = (pattern: RegExp) => new Map([...state].filter(([name]) => !pattern.test(name)));
  refused(
    () => detectNetwork(without(/block\.3\.1\./), {}),
    /^backbone: can't be detected, .* other depths or channels; wanted one of mit_b0/,
  );
  refused(
    () => detectNetwork(without(/decode_head\.classifier/), {}),
    /^classes: can't be detected, decode_head\.classifier\.weight is missing/,
  );
  const network = SegmentationNetwork.create(specOf('mmseg_segformer'), initialWeights(2));
  const file = backboneOf('segformer');
  file.delete('block2.1.attn.kv.weight');
  refused(
    () => loadBackboneWeights(network, file),
    /weights: wrong shape: layers\.1\.1\.1\.attn\.attn\.in_proj_weight \[64,64\], wanted \[192,64\]/,
  );
  refused(
    () =>
      loadBackboneWeights(
        network,
        new Map([['conv1.weight', float32Tensor(new Float32Array(1), [1])]]),
      ),
    /conv1\.weight given, the network's backbone is mit_b0/,
  );
  network.dispose();
  assert.throws(
    () => checkSpec({ ...specOf('segformer'), widthMultiplier: 0.5 }),
    /^Error: widthMultiplier: 0\.5 given, segformer has width 1 only/,
  );
});

test('outputs at stride 4, sizes rounded up; an image that is too small is refused; nothing is left over', () => {
  const network = SegmentationNetwork.create(specOf('segformer'), initialWeights(1));
  const before = numTensors();
  const shapes = (height: number, width: number) => {
    const context = inferenceContext();
    try {
      return scope(() => {
        const image = context.tape.constant(fill([1, height, width, 3], 0.5));
        const { logits, feature, aux } = network.forward(context, image);
        assert.equal(aux, null);
        return [logits.shape, feature.shape];
      });
    } finally {
      context.tape.dispose();
    }
  };
  assert.equal(network.outputStride, 4);
  assert.deepEqual(shapes(29, 45), [
    [1, 8, 12, 5],
    [1, 8, 12, 256],
  ]);
  assert.throws(() => shapes(28, 45), /image size: 28 x 45 given, SegFormer wants 29 x 29 or more/);
  assert.equal(numTensors(), before);
  network.dispose();
});
