/** Which parameters AdamW tells apart, for each way in which networks name their backbones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupOf, optimizerOf } from '../../services/student/optimizer.js';
import { studentSchema } from '../../services/program/studentSchema.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { float32, Parameter } from '../../src/tensor/index.js';

function config(model: string, backbone: string, train: object) {
  const scenes = (seed: number) => ({ kind: 'synthetic', samples: 1, seed });
  const text = JSON.stringify({
    data: { train: scenes(1), val: scenes(2), crop: { height: 64, width: 64 } },
    student: { model, backbone, widthMultiplier: 1 },
    train: { steps: 10, ...train },
  });
  return loadConfig(studentSchema, { text, fileName: 'test' });
}

const NAMES = [
  ['segformer', 'mit_b0', 'block1.0.attn.q.weight', 'linear_c1.proj.weight'],
  ['segformer', 'mit_b0', 'patch_embed4.proj.weight', 'linear_fuse.1.weight'],
  ['segformer', 'mit_b0', 'norm2.weight', 'project_head.0.weight'],
  [
    'hf_segformer',
    'mit_b0',
    'segformer.encoder.layer_norm.0.weight',
    'decode_head.classifier.bias',
  ],
  ['mmseg_segformer', 'mit_b0', 'backbone.layers.0.2.weight', 'decode_head.conv_seg.weight'],
  ['deeplabv3', 'resnet18', 'pretrained.conv1.0.weight', 'head.block.0.weight'],
] as const;

test('the head’s rate is for everything but the backbone, whatever the names', () => {
  for (const [model, backbone, inside, outside] of NAMES) {
    const own = config(model, backbone, { optimizer: 'adamw', headRateFactor: 10 });
    const factors = [inside, outside].map(
      (name) => groupOf(own, { name, shape: [3, 3] }).rateFactor,
    );
    assert.deepEqual(factors, [1, 10], model);
  }
});

test('decay: of all, of matrices, of all but some names', () => {
  const decayed = (train: object) => {
    const own = config('segformer', 'mit_b0', { optimizer: 'adamw', ...train });
    return [
      { name: 'block1.0.norm1.weight', shape: [32] },
      { name: 'block1.0.attn.q.bias', shape: [32] },
      { name: 'block1.0.attn.q.weight', shape: [1, 1, 32, 32] },
    ].map((one) => groupOf(own, one).isDecayed);
  };
  assert.deepEqual(decayed({}), [true, true, true]);
  assert.deepEqual(decayed({ decayVectors: false }), [false, false, true]);
  assert.deepEqual(decayed({ undecayed: ['norm'] }), [false, true, true]);
  assert.deepEqual(decayed({ undecayed: ['attn.q.w', 'norm'] }), [false, true, false]);
});

test('names without decay are AdamW’s alone: a config error names the key', () => {
  assert.throws(
    () => config('segformer', 'mit_b0', { undecayed: ['norm'] }),
    /train\.undecayed.*got \["norm"\], wanted none/,
  );
});

test('a part of names that no parameter has is a config error', () => {
  const own = config('segformer', 'mit_b0', { optimizer: 'adamw', undecayed: ['norm', 'nrom'] });
  const parameters = [
    new Parameter('block1.0.norm1.weight', float32(Float32Array.of(1, 1), [2]), [2]),
  ];
  assert.throws(
    () => optimizerOf(own, parameters),
    (error) =>
      error instanceof ConfigError &&
      /train\.undecayed: got "nrom", wanted a part of some parameter's name/.test(error.message),
  );
  for (const parameter of parameters) parameter.dispose();
});

test('a crop that SegFormer cannot see is a config error', () => {
  const text = JSON.stringify({
    data: {
      ...{ train: { kind: 'synthetic', samples: 1, seed: 1 }, crop: { height: 28, width: 64 } },
      val: { kind: 'synthetic', samples: 1, seed: 2 },
    },
    student: { model: 'segformer', backbone: 'mit_b0', widthMultiplier: 1 },
    train: { steps: 1 },
  });
  assert.throws(
    () => loadConfig(studentSchema, { text, fileName: 'test' }),
    /data\.crop\.height.*got 28, student\.model segformer wants at least 29/,
  );
});
