/** The numeric mode bfloat16 of a frozen network: kernels, a teacher's contract, refusals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNetworkOptions } from '../../services/cli/networkOptions.js';
import type { Products } from '../../src/contract/products.js';
import { loadConfig } from '../../src/config/load.js';
import { teacherSchema } from '../../src/config/teacher.js';
import { type ModelDescription, writeModelFile } from '../../src/models/files/modelFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { OFFICIAL_NORMALISATION } from '../../src/models/normalise.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import {
  composedKernels,
  float32,
  type Kernels,
  nativeKernels,
  readFloat32,
  scope,
  Tape,
} from '../../src/tensor/index.js';
import { roundedToBfloat16 } from '../../src/tensor/kernels/bfloat16.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { randomInput } from '../support/numerics/finiteDifference.js';

interface Case {
  readonly inputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly depthwise?: boolean;
}

/** A convolution of random operands with norm, shortcut and ReLU; `round`: of operands that are rounded already. */
function output(
  kernels: Kernels,
  { inputs, kernel, stride, depthwise = false }: Case,
  products: Products,
  round = false,
): Float32Array {
  return scope(() => {
    const tape = new Tape(false);
    const given = (index: number, shape: number[]) =>
      float32(randomInput(index, shape).values, shape);
    const operand = (index: number, shape: number[]) =>
      tape.constant(round ? roundedToBfloat16(given(index, shape)) : given(index, shape));
    const outputs = depthwise ? inputs : 37;
    const norm = {
      ...{
        scale_C: tape.constant(given(3, [outputs])),
        offset_C: tape.constant(given(4, [outputs])),
      },
      mean_C: given(5, [outputs]),
      variance_C: float32(
        randomInput(6, [outputs]).values.map((value) => value ** 2 + 1),
        [outputs],
      ),
    };
    const sides = [11, 10].map((length) => Math.floor((length - 1) / stride) + 1);
    const y = kernels.normalisedConvolution(
      tape,
      operand(1, [2, 11, 10, inputs]),
      operand(2, [kernel, kernel, inputs, depthwise ? 1 : outputs]),
      { stride, dilation: 1, padding: (kernel - 1) / 2, depthwise, products },
      norm,
      { activation: 'relu', shortcut: tape.constant(given(7, [2, ...sides, outputs])) },
    );
    return readFloat32(y.value);
  });
}

/** The largest distance, as a part of the largest value. */
function distance(got: Float32Array, wanted: Float32Array): number {
  assert.equal(got.length, wanted.length);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return wanted.reduce((most, value, i) => Math.max(most, Math.abs(got[i]! - value)), 0) / largest;
}

test('products in bfloat16 are those of rounded operands, with sums in float32', () => {
  for (const given of [
    { inputs: 16, kernel: 1, stride: 1 },
    { inputs: 301, kernel: 1, stride: 2 },
    { inputs: 24, kernel: 3, stride: 2 },
    { inputs: 18, kernel: 7, stride: 1 },
  ]) {
    const what = JSON.stringify(given);
    const wanted = output(nativeKernels, given, 'float32', true);
    const native = output(nativeKernels, given, 'bfloat16');
    assert.ok(distance(native, wanted) < 2e-6, what);
    assert.ok(distance(output(composedKernels, given, 'bfloat16'), wanted) < 2e-6, what);
    assert.deepEqual(output(nativeKernels, given, 'bfloat16'), native, what);
    const off = distance(native, output(nativeKernels, given, 'float32'));
    assert.ok(off > 1e-4 && off < 1e-2, `${what}: ${off}`);
  }
});

test('few input channels and depthwise convolutions stay in float32, bit for bit', () => {
  for (const given of [
    { inputs: 3, kernel: 7, stride: 2 },
    { inputs: 32, kernel: 3, stride: 1, depthwise: true },
  ]) {
    for (const kernels of [nativeKernels, composedKernels]) {
      assert.deepEqual(output(kernels, given, 'bfloat16'), output(kernels, given, 'float32'));
    }
  }
});

const DESCRIPTION: ModelDescription = {
  spec: {
    ...{ model: 'deeplabv3', backbone: 'resnet18', variant: 'v2' },
    ...{ numClasses: 3, widthMultiplier: 0.25 },
  },
  normalisation: OFFICIAL_NORMALISATION,
  classNames: ['road', 'car', 'sky'],
};

function fileOf(description: ModelDescription): Uint8Array {
  const network = SegmentationNetwork.create(description.spec, initialWeights(1));
  try {
    return writeModelFile(description, network.stateDict());
  } finally {
    network.dispose();
  }
}

/** What a teacher says of itself, and its logits and feature's norm for one image. */
function answer(file: Uint8Array, products?: Products) {
  const teacher = TeacherNetwork.load(file, products);
  try {
    const rgb = Uint8Array.from({ length: 64 * 96 * 3 }, (_, i) => (i * 37) % 251);
    const [outputs] = teacher.infer(
      [{ height: 64, width: 96, rgb }],
      [
        { output: 'logits', encoding: 'fp32' },
        { output: 'feature_norm', encoding: 'fp32' },
      ],
    );
    assert.ok(Array.isArray(outputs));
    const [logits, norms] = outputs.map(({ tensor }) => new Float32Array(tensor.data));
    return { info: teacher.info, computes: teacher.computes, logits: logits!, norms: norms! };
  } finally {
    teacher.dispose();
  }
}

test("a teacher's mode is part of its contract: another name, another digest, answers that are near", () => {
  const file = fileOf(DESCRIPTION);
  const [plain, given, rounded] = [answer(file), answer(file, 'float32'), answer(file, 'bfloat16')];
  assert.deepEqual(given, plain);
  assert.deepEqual([plain.info.numericMode, plain.computes], ['fp32', 'float32']);
  assert.equal(rounded.info.numericMode, 'bf16');
  assert.match(rounded.computes, /^bfloat16, (avx512_bf16|emulated)$/);
  assert.notEqual(rounded.info.digest, plain.info.digest);
  const { digest: _, numericMode: __, ...same } = rounded.info;
  const { digest: ___, numericMode: ____, ...contract } = plain.info;
  assert.deepEqual(same, contract);
  for (const name of ['logits', 'norms'] as const) {
    const off = distance(rounded[name], plain[name]);
    assert.ok(off > 1e-5 && off < 0.05, `${name}: ${off}`);
  }
  assert.deepEqual(answer(file, 'bfloat16'), rounded);
});

test('what has no such mode says so', () => {
  const segformer: ModelDescription = {
    ...DESCRIPTION,
    spec: {
      ...DESCRIPTION.spec,
      ...{ model: 'segformer', backbone: 'mit_b0', widthMultiplier: 1 },
    },
  };
  const file = fileOf(segformer);
  TeacherNetwork.load(file).dispose();
  assert.throws(
    () => TeacherNetwork.load(file, 'bfloat16'),
    (error) =>
      error instanceof CheckpointError &&
      /compute: got bfloat16 for segformer-mit_b0.*wanted float32/.test(error.message),
  );
  const config = (text: string) => loadConfig(teacherSchema, { text, fileName: 'teacher.yaml' });
  assert.equal(config('checkpoint: a.safetensors').compute, 'float32');
  assert.equal(config('{checkpoint: a.safetensors, compute: bfloat16}').compute, 'bfloat16');
  assert.throws(() => config('{checkpoint: a.safetensors, compute: int4}'), /compute: .*bfloat16/);
  for (const source of ['graph: {onnx: a.onnx}', 'simulate: {enabled: true}']) {
    assert.throws(
      () => config(`{${source}, compute: bfloat16}`),
      /compute: got bfloat16 without a checkpoint, wanted float32/,
    );
  }
  const options = { 'teacher-timeout': '60' };
  checkNetworkOptions({ ...options, model: 'a.safetensors', compute: 'bfloat16' });
  assert.throws(
    () => checkNetworkOptions({ ...options, model: 'a.safetensors', compute: 'half' }),
    /--compute: half given, wanted float32 or bfloat16/,
  );
  assert.throws(
    () => checkNetworkOptions({ ...options, teacher: '127.0.0.1:1', compute: 'bfloat16' }),
    /--compute: given with --teacher/,
  );
});
