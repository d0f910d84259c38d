/** Which parameters AdamW tells apart, for each way in which networks name their backbones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupOf } from '../../services/student/optimizer.js';
import { studentSchema } from '../../services/program/studentSchema.js';
import { loadConfig } from '../../src/config/load.js';

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
