import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StagedBuffers } from '../../src/models/buffers.js';
import { type ForwardContext, inferenceContext } from '../../src/models/context.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { ProjectionHead } from '../../src/models/projectionHead.js';
import { channelScale, type NetworkSpec, specName } from '../../src/models/spec.js';
import { drawsFor } from '../../src/random/draws.js';
import { fill, float32, numTensors, readFloat32, scope, Tape } from '../../src/tensor/index.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { alignedBytes, float32Tensor, type NamedTensor } from '../../src/wire/safetensors.js';

const MOBILE: NetworkSpec = {
  model: 'deeplab_mobile',
  backbone: 'mobilenetv2',
  variant: 'v2',
  numClasses: 5,
  widthMultiplier: 0.25,
};
const RESNET: NetworkSpec = { ...MOBILE, model: 'psp', backbone: 'resnet18' };

function randomImages(images: number, height: number, width: number): Float32Array {
  const values = new Float32Array(images * height * width * 3);
  drawsFor(5, 'test', images, height).fillNormal(values, 0, 1);
  return values;
}

function trainingContext(staged = new StagedBuffers()): ForwardContext {
  return { tape: new Tape(true), training: true, dropoutSeed: null, staged };
}

/** Logits of a forward pass; the context's tape is disposed of. */
function logitsOf(network: SegmentationNetwork, context: ForwardContext, images = 2) {
  return scope(() => {
    const image = context.tape.constant(float32(randomImages(images, 33, 40), [images, 33, 40, 3]));
    const logits = readFloat32(network.forward(context, image).logits.value);
    context.tape.dispose();
    return logits;
  });
}

function bytesOf(dict: ReadonlyMap<string, NamedTensor>): Map<string, string> {
  return new Map([...dict].map(([name, { data }]) => [name, Buffer.from(data).toString('base64')]));
}

test('training forward stages running statistics; commit writes them, discard does not', () => {
  const network = SegmentationNetwork.create(MOBILE, initialWeights(1));
  const before = bytesOf(network.stateDict());
  const tensors = numTensors();
  const discarded = new StagedBuffers();
  logitsOf(network, trainingContext(discarded));
  assert.deepEqual(bytesOf(network.stateDict()), before);
  discarded.discard();
  assert.equal(numTensors(), tensors);
  assert.deepEqual(bytesOf(network.stateDict()), before);

  const staged = new StagedBuffers();
  logitsOf(network, trainingContext(staged));
  logitsOf(network, trainingContext(staged));
  staged.commit();
  const twice = network.stateDict();
  assert.equal(numTensors(), tensors);
  for (const [name, { data }] of twice) {
    const changed = Buffer.from(data).toString('base64') !== before.get(name);
    assert.equal(changed, /running_|num_batches/.test(name), name);
  }
  const counter = twice.get('pretrained.net.features.0.1.num_batches_tracked')!;
  assert.equal(counter.dtype, 'I64');
  assert.equal(new BigInt64Array(alignedBytes(counter))[0], 2n);

  // Staging two passes before a commit gives the same result as committing each.
  const other = SegmentationNetwork.create(MOBILE, initialWeights(1));
  for (let pass = 0; pass < 2; pass++) {
    const single = new StagedBuffers();
    logitsOf(other, trainingContext(single));
    single.commit();
  }
  assert.deepEqual(bytesOf(other.stateDict()), bytesOf(twice));
  other.dispose();
  network.dispose();
});

test('every parameter of every kind of network gets a gradient, and nothing leaks', () => {
  const specs: NetworkSpec[] = [
    MOBILE,
    { ...MOBILE, model: 'psp_mobile' },
    RESNET,
    { ...RESNET, model: 'deeplabv3', variant: 'v1' },
    { ...RESNET, model: 'deeplabv3', backbone: 'resnet101', widthMultiplier: 0.125 },
    { ...RESNET, model: 'torchvision_deeplabv3', backbone: 'resnet50_plain' },
    { ...RESNET, model: 'torchvision_fcn', backbone: 'resnet50_plain' },
    { ...RESNET, model: 'mmseg_deeplabv3', backbone: 'resnet18_v1c' },
    { ...RESNET, model: 'mmseg_psp', backbone: 'resnet50_v1c' },
    { ...RESNET, model: 'mmseg_psp', backbone: 'resnet18_v1c', auxHead: false },
  ];
  const beforeAll = numTensors();
  for (const spec of specs) {
    const network = SegmentationNetwork.create(spec, initialWeights(2));
    const before = numTensors();
    scope(() => {
      const context = trainingContext();
      const image = context.tape.constant(float32(randomImages(2, 33, 40), [2, 33, 40, 3]));
      const { logits, aux, feature } = network.forward(context, image);
      assert.deepEqual(logits.shape, [2, 5, 5, 5]);
      assert.deepEqual(feature.shape, [2, 5, 5, network.featureChannels]);
      assert.equal(aux === null, spec.backbone === 'mobilenetv2' || spec.auxHead === false);
      assert.equal(network.alignCorners, !/^(torchvision|mmseg)_/.test(spec.model));
      const seeds = [logits, ...(aux === null ? [] : [aux])].map(
        (output) => [output, fill(output.shape, 1)] as const,
      );
      const gradients = context.tape.backward(seeds);
      for (const parameter of network.parameters()) {
        const gradient = gradients.parameters.get(parameter);
        assert.ok(gradient, `${specName(spec)}: ${parameter.name} got no gradient`);
        assert.deepEqual(gradient.shape, parameter.shape);
      }
      context.staged.discard();
    });
    assert.equal(numTensors(), before, `${specName(spec)}: tensors left over`);
    network.dispose();
  }
  assert.equal(numTensors(), beforeAll);
});

test('dropout is a pure function of its seeds, one pair per layer', () => {
  const network = SegmentationNetwork.create(RESNET, initialWeights(3));
  const layers: number[] = [];
  const context = (seed: number): ForwardContext => ({
    ...inferenceContext(),
    dropoutSeed: (layer) => {
      layers.push(layer);
      return [seed, layer];
    },
  });
  const first = logitsOf(network, context(1));
  assert.deepEqual(new Set(layers), new Set([0, 1]));
  assert.deepEqual(logitsOf(network, context(1)), first);
  assert.notDeepEqual(logitsOf(network, context(2)), first);
  assert.notDeepEqual(logitsOf(network, inferenceContext()), first);
  network.dispose();
});

test('training a globally pooled head on one image is refused', () => {
  const network = SegmentationNetwork.create(MOBILE, initialWeights(1));
  const before = numTensors();
  const context = trainingContext();
  assert.throws(() => logitsOf(network, context, 1), /one value per channel/);
  context.tape.dispose();
  context.staged.discard();
  assert.equal(numTensors(), before);
  network.dispose();
});

test('initial weights are a pure function of seed and name', () => {
  const shape = [64, 32, 3, 3];
  const drawn = (seed: number, name: string) =>
    initialWeights(seed)(name, shape, 'convolution', 'backbone');
  assert.deepEqual(drawn(7, 'a.weight'), drawn(7, 'a.weight'));
  assert.notDeepEqual(drawn(7, 'b.weight'), drawn(7, 'a.weight'));
  assert.notDeepEqual(drawn(8, 'a.weight'), drawn(7, 'a.weight'));
  assert.deepEqual([...initialWeights(7)('c', [2], 'running_var', 'module')], [1, 1]);
  assert.deepEqual([...initialWeights(7)('c', [2], 'bias', 'module')], [0, 0]);
});

test('initial weights have the distributions of the official code, part by part', () => {
  for (const [shape, role, initialisation, variance, bound] of [
    // Normal: 2 / (outputs · kernel area), also where each output sees one input.
    [[64, 32, 3, 3], 'convolution', 'backbone', 2 / (64 * 9), null],
    [[960, 1, 3, 3], 'depthwise', 'backbone', 2 / (960 * 9), null],
    [[960, 1, 3, 3], 'depthwise', 'transformer', 2 / 9, null],
    [[64, 32, 3, 3], 'convolution', 'mmsegmentation_head', 2 / (64 * 9), null],
    [[150, 256, 1, 1], 'classifier', 'mmsegmentation_head', 1e-4, null],
    [[64, 256], 'linear', 'transformer', 4e-4, null],
    // Uniform within 1 / √(inputs · kernel area), as torch.nn.Conv2d.
    [[64, 32, 3, 3], 'convolution', 'module', 1 / (3 * 32 * 9), 1 / Math.sqrt(32 * 9)],
    [[19, 512, 1, 1], 'classifier', 'module', 1 / (3 * 512), 1 / Math.sqrt(512)],
  ] as const) {
    const weights = initialWeights(7)('a.weight', shape, role, initialisation);
    const what = `${role} of ${initialisation}`;
    // At least 8640 draws: the mean square of normal ones deviates by 1.5 % (one sigma).
    const meanSquare = weights.reduce((sum, value) => sum + value * value, 0) / weights.length;
    assert.ok(Math.abs(meanSquare / variance - 1) < 0.06, `${what}: ${meanSquare}, ${variance}`);
    const furthest = weights.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (bound === null) assert.ok(furthest > 3 * Math.sqrt(variance), `${what}: ${furthest}`);
    else assert.ok(furthest <= bound && furthest > 0.99 * bound, `${what}: ${furthest}`);
  }
});

test('backbone, heads and classifier of a network are drawn as their code draws them', () => {
  const drawn = new Map<string, string>();
  const network = SegmentationNetwork.create(RESNET, (name, shape, role, initialisation) => {
    drawn.set(name, initialisation);
    return initialWeights(1)(name, shape, role, initialisation);
  });
  network.dispose();
  for (const [name, initialisation] of drawn) {
    assert.equal(initialisation, name.startsWith('pretrained.') ? 'backbone' : 'module', name);
  }
});

test('a state dict loaded into another network gives the same outputs', () => {
  const from = SegmentationNetwork.create(RESNET, initialWeights(4));
  const to = SegmentationNetwork.create(RESNET, initialWeights(5));
  const result = to.loadStateDict(from.stateDict(), { strict: true });
  assert.deepEqual(result, { missing: [], unexpected: [], misshaped: [] });
  assert.deepEqual(bytesOf(to.stateDict()), bytesOf(from.stateDict()));
  assert.deepEqual(logitsOf(to, inferenceContext()), logitsOf(from, inferenceContext()));
  const parameter = from.parameters()[0]!;
  const official = from.stateDict().get(parameter.name)!;
  scope(() => {
    const native = from.state.nativeLayout(parameter, official);
    assert.deepEqual(readFloat32(native), parameter.toFloat32());
    assert.deepEqual(from.officialLayout(parameter, native), official);
  });
  from.dispose();
  to.dispose();
});

test('a state dict that does not fit is refused by name and changes nothing', () => {
  const network = SegmentationNetwork.create(MOBILE, initialWeights(4));
  const before = bytesOf(network.stateDict());
  const load = (change: (dict: Map<string, NamedTensor>) => void, strict = true) => {
    const dict = network.stateDict();
    const first = dict.get('head.block.1.bias')!;
    dict.set('head.block.1.bias', { ...first, data: first.data.map(() => 1) });
    change(dict);
    return network.loadStateDict(dict, { strict });
  };
  const bias = 'head.block.4.bias';
  const faults: [(dict: Map<string, NamedTensor>) => void, RegExp][] = [
    [(dict) => dict.delete(bias), /missing: head\.block\.4\.bias/],
    [(dict) => dict.set('x.y', float32Tensor(new Float32Array(1), [1])), /unexpected: x\.y/],
    [
      (dict) => dict.set(bias, float32Tensor(new Float32Array(3), [3])),
      /head\.block\.4\.bias \[3\], wanted \[5\]/,
    ],
    [
      (dict) => dict.set(bias, { dtype: 'I32', shape: [5], data: new Uint8Array(20) }),
      /head\.block\.4\.bias: dtype I32/,
    ],
  ];
  for (const [change, message] of faults) {
    assert.throws(
      () => load(change),
      (error) => error instanceof CheckpointError && message.test(error.message),
    );
    assert.deepEqual(bytesOf(network.stateDict()), before);
  }
  const loose = load((dict) => {
    dict.delete(bias);
    dict.set('head.block.4.weight', float32Tensor(new Float32Array(1), [1]));
  }, false);
  assert.deepEqual(loose, { missing: [bias], unexpected: [], misshaped: ['head.block.4.weight'] });
  assert.notEqual(
    bytesOf(network.stateDict()).get('head.block.1.bias'),
    before.get('head.block.1.bias'),
  );
  network.dispose();
});

test('a spec without a network is refused, naming the field', () => {
  const wrong: [Partial<Record<keyof NetworkSpec, unknown>>, RegExp][] = [
    [{ model: 'unet' }, /^model: 'unet' given, wanted one of deeplabv3/],
    [{ model: 'toString' }, /^model/],
    [{ backbone: 'resnet18' }, /^backbone: 'resnet18' given, deeplab_mobile wants .*mobilenetv2/],
    [{ variant: 'v3' }, /^variant/],
    [{ numClasses: 0 }, /^numClasses/],
    [{ widthMultiplier: 0 }, /^widthMultiplier/],
    [{ widthMultiplier: Number.NaN }, /^widthMultiplier/],
    [{ auxHead: false }, /^auxHead: false given/],
    [
      { model: 'mmseg_psp', backbone: 'resnet34_v1c' },
      /^backbone: 'resnet34_v1c' given, mmseg_psp/,
    ],
  ];
  for (const [change, message] of wrong) {
    const spec = { ...MOBILE, ...change } as NetworkSpec;
    assert.throws(() => SegmentationNetwork.create(spec, initialWeights(1)), { message });
  }
});

test('width multipliers give multiples of 8, at least 8', () => {
  const quarter = channelScale(0.25);
  // 4 -> 8; 6 -> 8; 24 * 0.25 = 6 -> 8; 80 / 4 = 20 -> 24; 320 / 4 = 80.
  assert.deepEqual([16, 24, 80, 320].map(quarter), [8, 8, 24, 80]);
  assert.equal(channelScale(1)(20), 20);
  assert.equal(specName(MOBILE), 'deeplab_mobile-mobilenetv2/v2 x0.25');
  const network = SegmentationNetwork.create(MOBILE, initialWeights(1));
  assert.equal(network.featureChannels, 32);
  network.dispose();
});

test('projection head: official names, shapes, staged statistics', () => {
  const head = ProjectionHead.create(16, 24, initialWeights(1));
  assert.deepEqual(
    [...head.stateDict()].map(([name, { shape }]) => [name, [...shape]]),
    [
      ['project_head.0.weight', [24, 16, 1, 1]],
      ['project_head.1.weight', [24]],
      ['project_head.1.bias', [24]],
      ['project_head.1.running_mean', [24]],
      ['project_head.1.running_var', [24]],
      ['project_head.1.num_batches_tracked', []],
      ['project_head.3.weight', [24, 24, 1, 1]],
    ],
  );
  const before = numTensors();
  scope(() => {
    const context = trainingContext();
    const feature = context.tape.leaf(fill([2, 3, 4, 16], 1));
    const y = head.forward(context, feature);
    assert.deepEqual(y.shape, [2, 3, 4, 24]);
    const { leaves, parameters } = context.tape.backward([[y, fill(y.shape, 1)]]);
    assert.deepEqual(leaves.get(feature)?.shape, [2, 3, 4, 16]);
    assert.equal(parameters.size, 4);
    context.staged.commit();
  });
  assert.equal(numTensors(), before);
  head.dispose();
});
