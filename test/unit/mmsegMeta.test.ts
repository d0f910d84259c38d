/** The config and classes in mmsegmentation's checkpoints. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { command } from '../../services/cli/commands/import.js';
import { describeFault } from '../../services/program/exitCode.js';
import { readModelFile } from '../../src/models/files/modelFile.js';
import { mmsegSettings } from '../../src/models/foreign/mmsegMeta.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { writeTorchCheckpoint } from '../../src/wire/torch/torchWriter.js';
import { readZip } from '../../src/wire/torch/zip/reader.js';
import { writeZip } from '../../src/wire/torch/zip/writer.js';
import { dict, madePickle, raw, text } from '../support/modelFiles/madePickle.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-mmseg-'));
after(() => rmSync(folder, { recursive: true }));

/** A config in mmengine's format, reduced to the relevant settings. */
const CONFIG = `
data_preprocessor = dict(
    bgr_to_rgb=True,
    mean=[
        123.675,
        116.28,
        103.53,
    ],
    std=[58.395, 57.12, 57.375])
model = dict(
    backbone=dict(contract_dilation=True, dilations=(1, 1, 2, 4), strides=(
        1,
        2,
        1,
        1,
    )),
    data_preprocessor=dict(bgr_to_rgb=True, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    decode_head=dict(align_corners=True, dilations=(1, 12, 24, 36)),
    auxiliary_head=dict(align_corners=True))
`;

test('corners, mean, deviation and channel order are found anywhere, once or repeated', () => {
  const normalisation = {
    pixelMean: [123.675, 116.28, 103.53],
    pixelStd: [58.395, 57.12, 57.375],
    channelOrder: 'rgb',
  };
  assert.deepEqual(mmsegSettings(CONFIG, 'mmseg_psp'), { alignCorners: true, normalisation });
  assert.deepEqual(mmsegSettings('decode_head=dict(align_corners=False)', 'mmseg_psp'), {
    alignCorners: false,
  });
  const old = 'img_norm_cfg = dict(mean=[1.5, 2, -3e1], std=[1, 2, 4], to_rgb=False)';
  assert.deepEqual(mmsegSettings(old, 'mmseg_psp'), {
    normalisation: { pixelMean: [1.5, 2, -30], pixelStd: [1, 2, 4], channelOrder: 'bgr' },
  });
  assert.deepEqual(mmsegSettings('lr = 0.01', 'mmseg_psp'), {});
});

test('another network with the same names is refused, naming the setting', () => {
  const cases: [string, RegExp][] = [
    ['strides=(1, 2, 2, 1)', /config says strides=\(1,2,2,1\), wanted 1,2,1,1: .* ONNX/],
    ['dilations=(1, 1, 1, 2)', /config says dilations=\(1,1,1,2\), wanted 1,1,2,4 or 1,12,24,36/],
    ['multi_grid=(1, 2, 4)', /config says multi_grid=\(1,2,4\), wanted none/],
    ['contract_dilation=False', /config says contract_dilation=False, wanted True/],
    [
      'align_corners=True, align_corners=False',
      /says align_corners in 2 ways: True; False; say which: --align-corners true\|false/,
    ],
    ['mean=[1, 2], std=[1, 2], to_rgb=True', /says mean=\[1,2\], std=\[1,2\]/],
    ['mean=[1, 2, 3], std=[1, 0, 3], to_rgb=True', /std=\[1,0,3\]/],
  ];
  for (const [config, message] of cases) {
    assert.throws(
      () => mmsegSettings(config, 'mmseg_psp'),
      (error: Error) => error instanceof CheckpointError && message.test(error.message),
      config,
    );
  }
});

test('settings that are given decide in place of an ambiguous config', () => {
  const config =
    'mean=[1, 2, 3], mean=[4, 5, 6], std=[1, 2, 3], std=[1, 1, 1], to_rgb=True, to_rgb=False, ' +
    'align_corners=True, align_corners=False';
  const given = { alignCorners: false, pixelMean: [7, 8, 9], pixelStd: [2, 2, 2] };
  const whole = { ...given, channelOrder: 'bgr' } as const;
  const { alignCorners, ...normalisation } = whole;
  assert.deepEqual(mmsegSettings(config, 'mmseg_psp', whole), { alignCorners, normalisation });
  for (const [key, option] of [
    ['alignCorners', '--align-corners true|false'],
    ['pixelMean', '--pixel-mean X,Y,Z'],
    ['pixelStd', '--pixel-std X,Y,Z'],
    ['channelOrder', '--channel-order rgb|bgr'],
  ] as const) {
    const { [key]: _, ...rest } = whole;
    assert.throws(
      () => mmsegSettings(config, 'mmseg_psp', rest),
      (error: Error) => error instanceof CheckpointError && error.message.endsWith(option),
      key,
    );
  }
});

test('import takes the options where the config contradicts itself', async () => {
  const path = writeChecked(CONFIG.replace('align_corners=True)', 'align_corners=False)'));
  const fault = await imported(path).then(
    () => assert.fail('was imported'),
    (error: Error) => describeFault(error),
  );
  assert.equal(fault.exitCode, 5);
  assert.match(fault.message, /2 ways: True; False; say which: --align-corners true\|false/);
  const bytes = await imported(path, '--align-corners', 'true');
  assert.equal(readModelFile(bytes).description.spec.alignCorners, true);
});

const SPEC: NetworkSpec = {
  ...{ model: 'mmseg_psp', backbone: 'resnet18_v1c', variant: 'v1' },
  ...{ numClasses: 3, widthMultiplier: 0.125 },
};

/** A .pth file with meta.cfg and meta.dataset_meta.classes in addition to the state dict. */
function writeChecked(config: string, spec = SPEC): string {
  const network = SegmentationNetwork.create(spec, initialWeights(1));
  const entries = [...readZip(writeTorchCheckpoint(network.stateDict()))];
  network.dispose();
  // 0x87 is TUPLE3.
  const classes = raw(...['road', 'sky', 'tree'].map(text), 0x87);
  const meta = dict(['cfg', text(config)], ['dataset_meta', dict(['classes', classes])]);
  const beside = (state: Uint8Array) =>
    madePickle(dict(['meta', meta], ['state_dict', state.subarray(2, -1)]));
  const path = join(folder, 'checked.pth');
  const made = entries.map(
    ([name, data]) => [name, name.endsWith('.pkl') ? beside(data) : data] as const,
  );
  writeFileSync(path, writeZip(new Map(made)));
  return path;
}

async function imported(path: string, ...options: string[]) {
  const out = join(folder, 'out.safetensors');
  assert.equal(await command.run([path, '--out', out, ...options]), 0);
  return readFileSync(out);
}

test('import writes them to the model file; a flag overrides them; the digest depends on them', async () => {
  const path = writeChecked(CONFIG);
  const bytes = await imported(path);
  const { description } = readModelFile(bytes);
  assert.deepEqual(description.spec, { ...SPEC, alignCorners: true });
  assert.deepEqual(description.classNames, ['road', 'sky', 'tree']);
  const teacher = TeacherNetwork.load(bytes);
  const other = TeacherNetwork.load(await imported(path, '--align-corners', 'false'));
  assert.deepEqual([teacher.info.alignCorners, other.info.alignCorners], [true, false]);
  assert.match(teacher.info.model, / align-corners$/);
  assert.notEqual(teacher.info.digest, other.info.digest);
  teacher.dispose();
  other.dispose();
});

test('import refuses another network by its config: exit code 5, and a wrong flag: 2', async () => {
  const path = writeChecked('strides=(1, 2, 2, 1)');
  const fault = await command.run([path, '--out', join(folder, 'no.safetensors')]).then(
    () => assert.fail('was imported'),
    (error: Error) => describeFault(error),
  );
  assert.equal(fault.exitCode, 5);
  assert.match(fault.message, /checked\.pth: meta: the config says strides=\(1,2,2,1\)/);
  const usage = await imported(path, '--align-corners', 'maybe').then(
    () => assert.fail('was imported'),
    (error: Error) => describeFault(error),
  );
  assert.equal(usage.exitCode, 2);
  assert.match(usage.message, /--align-corners: maybe given, wanted true or false/);
});

const SEGFORMER: NetworkSpec = {
  ...{ model: 'mmseg_segformer', backbone: 'mit_b0', variant: 'v1' },
  ...{ numClasses: 3, widthMultiplier: 1 },
};

/** mmsegmentation's config of SegFormer-B0, reduced to the relevant settings, with another normalisation. */
const SEGFORMER_CONFIG = `
data_preprocessor = dict(bgr_to_rgb=True, mean=[120.5, 116.28, 103.53], std=[58.395, 57.12, 57.375])
model = dict(
    backbone=dict(type='MixVisionTransformer', num_heads=[
        1,
        2,
        5,
        8,
    ], num_layers=[2, 2, 2, 2], out_indices=(0, 1, 2, 3), patch_sizes=[7, 3, 3, 3], sr_ratios=[8, 4, 2, 1]),
    decode_head=dict(type='SegformerHead', align_corners=False, in_index=[0, 1, 2, 3], num_classes=3),
    test_cfg=dict(crop_size=(1024, 1024), mode='slide', stride=(768, 768)))
`;

test('a SegFormer with its config: classes, corners and normalisation are found', async () => {
  const { description } = readModelFile(await imported(writeChecked(SEGFORMER_CONFIG, SEGFORMER)));
  assert.deepEqual(description.spec, SEGFORMER);
  assert.deepEqual(description.classNames, ['road', 'sky', 'tree']);
  assert.deepEqual(description.normalisation, {
    pixelMean: [120.5, 116.28, 103.53],
    pixelStd: [58.395, 57.12, 57.375],
    channelOrder: 'rgb',
  });
  const aligned = SEGFORMER_CONFIG.replace('align_corners=False', 'align_corners=True');
  const other = readModelFile(await imported(writeChecked(aligned, SEGFORMER)));
  assert.deepEqual(other.description.spec, { ...SEGFORMER, alignCorners: true });
});

test('another SegFormer with the same weights is refused: exit code 5, naming the setting', async () => {
  for (const [from, to, message] of [
    ['        5,\n', '        4,\n', /says num_heads=\(1,2,4,8\), wanted 1,2,5,8/],
    ['in_index=[0, 1, 2, 3]', 'in_index=[3, 2, 1, 0]', /says in_index=\(3,2,1,0\)/],
    [
      'patch_sizes',
      'strides=(4, 2, 2, 1), patch_sizes',
      /says strides=\(4,2,2,1\), wanted 4,2,2,2/,
    ],
    [
      'align',
      "interpolate_mode='nearest', align",
      /says interpolate_mode=nearest, wanted bilinear/,
    ],
  ] as const) {
    const path = writeChecked(SEGFORMER_CONFIG.replace(from, to), SEGFORMER);
    const fault = await imported(path).then(
      () => assert.fail('was imported'),
      (error: Error) => describeFault(error),
    );
    assert.equal(fault.exitCode, 5);
    assert.match(fault.message, message);
  }
  const spelt = SEGFORMER_CONFIG.replace('patch_sizes', 'strides=[4, 2, 2, 2], patch_sizes');
  const usual = spelt.replace('align', "interpolate_mode='bilinear', align");
  assert.ok(await imported(writeChecked(usual, SEGFORMER)));
});
