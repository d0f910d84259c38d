/** Networks with the names of torchvision and mmsegmentation: detected, described, imported, or refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { command } from '../../services/cli/commands/import.js';
import { describeFault } from '../../services/program/exitCode.js';
import { detectNetwork } from '../../src/models/files/detectNetwork.js';
import { readModelFile, writeModelFile } from '../../src/models/files/modelFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { OFFICIAL_NORMALISATION, TORCHVISION_NORMALISATION } from '../../src/models/normalise.js';
import { isSegformer } from '../../src/models/segformer.js';
import { type NetworkSpec, specName } from '../../src/models/spec.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { ZOO } from '../../src/models/zoo.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import {
  float32Tensor,
  formatSafetensors,
  type NamedTensor,
  type NamedTensors,
} from '../../src/wire/safetensors.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-published-networks-'));
after(() => rmSync(folder, { recursive: true }));

const NARROW = { variant: 'v1', numClasses: 5, widthMultiplier: 0.125 } as const;
const PUBLISHED: readonly NetworkSpec[] = ZOO.filter(
  ({ model }) => /^(torchvision|mmseg)_/.test(model) && !isSegformer(model),
).map(({ model, backbone }) => ({ model, backbone, ...NARROW }));
const FCN: NetworkSpec = { model: 'torchvision_fcn', backbone: 'resnet50_plain', ...NARROW };
const MMSEG: NetworkSpec = { model: 'mmseg_psp', backbone: 'resnet18_v1c', ...NARROW };

function stateOf(spec: NetworkSpec): Map<string, NamedTensor> {
  const network = SegmentationNetwork.create(spec, initialWeights(1));
  const state = network.stateDict();
  network.dispose();
  return state;
}

async function imported(state: NamedTensors, ...options: string[]) {
  const [from, out] = [join(folder, 'state.safetensors'), join(folder, 'model.safetensors')];
  writeFileSync(from, formatSafetensors(state, {}));
  assert.equal(await command.run([from, '--out', out, ...options]), 0);
  return readModelFile(readFileSync(out));
}

/** As the program prints it. */
async function refusal(state: NamedTensors, ...options: string[]) {
  try {
    await imported(state, ...options);
  } catch (error) {
    return describeFault(error);
  }
  return assert.fail('was imported');
}

/** The same weights with some in another shape, or removed (null). */
function changed(spec: NetworkSpec, shapes: Readonly<Record<string, readonly number[] | null>>) {
  const state = stateOf(spec);
  for (const [name, shape] of Object.entries(shapes)) {
    assert.ok(state.has(name), name);
    if (shape === null) state.delete(name);
    else {
      const size = shape.reduce((product, length) => product * length, 1);
      state.set(name, float32Tensor(new Float32Array(size), shape));
    }
  }
  return state;
}

test('each is detected by its names alone, with or without the auxiliary head', () => {
  assert.ok(PUBLISHED.length >= 10, `${PUBLISHED.length} networks`);
  for (const spec of PUBLISHED) {
    assert.deepEqual(detectNetwork(stateOf(spec), {}), spec, specName(spec));
    const bare = { ...spec, auxHead: false };
    assert.deepEqual(detectNetwork(stateOf(bare), {}), bare, specName(bare));
  }
});

test("import uses the network's normalisation, and flags override it", async () => {
  for (const spec of [FCN, MMSEG]) {
    const { description } = await imported(stateOf(spec));
    assert.deepEqual(description.spec, spec);
    assert.deepEqual(description.normalisation, TORCHVISION_NORMALISATION);
  }
  const { description } = await imported(stateOf(FCN), '--channel-order', 'bgr');
  assert.deepEqual(description.normalisation, {
    ...TORCHVISION_NORMALISATION,
    channelOrder: 'bgr',
  });
  const official = await imported(stateOf({ ...FCN, model: 'deeplabv3' }));
  assert.deepEqual(official.description.normalisation, OFFICIAL_NORMALISATION);
});

test('a missing auxiliary head stays missing: in the model file, imported again, and in a teacher', async () => {
  const bare = { ...MMSEG, auxHead: false };
  const { description, tensors } = await imported(stateOf(bare));
  assert.deepEqual(description.spec, bare);
  assert.deepEqual([...tensors.keys()], [...stateOf(bare).keys()]);
  const file = writeModelFile(description, tensors);
  const path = join(folder, 'bare.safetensors');
  writeFileSync(path, file);
  const again = join(folder, 'again.safetensors');
  assert.equal(await command.run([path, '--out', again]), 0);
  assert.deepEqual(readModelFile(readFileSync(again)).description, description);
  const [without, whole] = [bare, MMSEG].map((spec) => {
    const teacher = TeacherNetwork.load(writeModelFile({ ...description, spec }, stateOf(spec)));
    teacher.dispose();
    return teacher.info;
  });
  assert.equal(without!.model, 'mmseg_psp-resnet18_v1c/v1 x0.125 no-aux');
  assert.equal(without!.alignCorners, false);
  assert.notEqual(without!.digest, whole!.digest);
  const official = { ...MMSEG, model: 'deeplabv3', backbone: 'resnet18', auxHead: false } as const;
  assert.throws(
    () => writeModelFile({ ...description, spec: official }, new Map()),
    (error) => error instanceof CheckpointError && /auxHead: false given/.test(error.message),
  );
});

test('weights that do not fit are named: exit 5', async () => {
  const faults: readonly (readonly [NamedTensors, RegExp])[] = [
    [
      changed(FCN, { 'classifier.0.weight': [99, 256, 3, 3] }),
      /variant: can't be detected, classifier\.0\.weight has 99 channels; wanted 64 at width 0\.125/,
    ],
    [
      changed(FCN, { 'classifier.1.weight': [99] }),
      /wrong shape: classifier\.1\.weight \[99\], wanted \[64\]/,
    ],
    [
      changed(FCN, { 'aux_classifier.4.bias': null }),
      /weights: missing: aux_classifier\.4\.bias$/m,
    ],
    [
      changed(MMSEG, { 'decode_head.psp_modules.2.1.conv.weight': [16, 63, 1, 1] }),
      /wrong shape: decode_head\.psp_modules\.2\.1\.conv\.weight \[16,63,1,1\], wanted \[16,64,1,1\]/,
    ],
    [
      changed(MMSEG, { 'decode_head.conv_seg.weight': null, 'decode_head.conv_seg.bias': null }),
      /classes: can't be detected, decode_head\.conv_seg\.weight and decode_head\.conv_seg\.bias are missing/,
    ],
    [
      changed(MMSEG, { 'backbone.stem.0.weight': [31, 3, 3, 3] }),
      /width: can't be detected, channels are 31 of 32/,
    ],
    [
      new Map([...stateOf(MMSEG), ...stateOf(FCN)]),
      /model: can't be detected, 2 kinds of heads found; wanted .*classifier\.0\.convs\.\*/,
    ],
    [
      new Map(
        [...stateOf({ ...MMSEG, backbone: 'resnet50_v1c' })].map(([name, tensor]) => [
          name.replace('backbone.stem.0', 'backbone.conv1'),
          tensor,
        ]),
      ),
      /model: no network has a mmseg_psp head on resnet50/,
    ],
  ];
  for (const [state, wanted] of faults) {
    const { exitCode, message } = await refusal(state);
    assert.equal(exitCode, 5, message);
    assert.match(message, wanted);
  }
});
