import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EncodedOutput } from '../../src/contract/outputs.js';
import type { TeacherReply } from '../../src/contract/teacher.js';
import { decodeReplies } from '../../src/distill/decodeReply.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import { inferenceContext } from '../../src/models/context.js';
import {
  type ModelDescription,
  readModelFile,
  writeModelFile,
} from '../../src/models/files/modelFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, numTensors, readFloat32, scope } from '../../src/tensor/index.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { encodeHalf } from '../../src/wire/half.js';
import { float32Tensor, formatSafetensors, type NamedTensor } from '../../src/wire/safetensors.js';

const DESCRIPTION: ModelDescription = {
  spec: {
    model: 'psp_mobile',
    backbone: 'mobilenetv2',
    variant: 'v2',
    numClasses: 3,
    widthMultiplier: 0.25,
  },
  normalisation: {
    pixelMean: [104, 116.5, 122.5],
    pixelStd: [57, 58, 59],
    channelOrder: 'bgr',
  },
  classNames: ['road', 'car', 'sky'],
};

const ALL = [
  { output: 'logits', encoding: 'fp32' },
  { output: 'embedding', encoding: 'fp16' },
  { output: 'feature_norm', encoding: 'fp16' },
] as const;

function stateDict(): Map<string, NamedTensor> {
  const network = SegmentationNetwork.create(DESCRIPTION.spec, initialWeights(1));
  const dict = network.stateDict();
  network.dispose();
  return dict;
}

function teacherWith(change: (dict: Map<string, NamedTensor>) => void = () => {}): TeacherNetwork {
  const dict = stateDict();
  change(dict);
  return TeacherNetwork.load(writeModelFile(DESCRIPTION, dict));
}

function randomImage(index: number, height: number, width: number) {
  const draws = drawsFor(9, 'test', index);
  const rgb = Uint8Array.from({ length: height * width * 3 }, () => draws.integer(256));
  return { height, width, rgb };
}

function outputsOf(result: EncodedOutput[] | Error | undefined): EncodedOutput[] {
  assert.ok(Array.isArray(result), String(result));
  return result;
}

test("a teacher returns the network's outputs, encoded", () => {
  const before = numTensors();
  const teacher = teacherWith();
  const network = SegmentationNetwork.create(DESCRIPTION.spec, initialWeights(1));
  // 5 x 7 positions, 3 classes, 32 channels: odd counts included.
  const image = randomImage(1, 40, 56);
  const { pixelMean, pixelStd } = DESCRIPTION.normalisation;
  const normalised = Float32Array.from(image.rgb, (_, i) => {
    const channel = i % 3;
    const value = image.rgb[i - channel + 2 - channel]!;
    return (value - pixelMean[channel]!) / pixelStd[channel]!;
  });
  const direct = scope(() => {
    const context = inferenceContext();
    const input = context.tape.constant(float32(normalised, [1, 40, 56, 3]));
    const { logits, feature } = network.forward(context, input);
    context.tape.dispose();
    return { logits: readFloat32(logits.value), feature: readFloat32(feature.value) };
  });
  const loaded = numTensors();
  const [result] = teacher.infer([image], [...ALL, { output: 'logits', encoding: 'fp16' }]);
  assert.equal(numTensors(), loaded, 'tensors left over');
  const [logits, embedding, norm, half] = outputsOf(result);
  assert.deepEqual(logits?.tensor.shape, [5, 7, 3]);
  assert.deepEqual(new Float32Array(logits.tensor.data), direct.logits);
  assert.equal(half?.tensor.dtype, 'fp16');
  assert.deepEqual(new Uint16Array(half.tensor.data), encodeHalf(direct.logits));

  assert.deepEqual(embedding?.tensor.shape, [5, 7, 32]);
  assert.deepEqual(norm?.tensor.shape, [5, 7]);
  assert.equal(norm.tensor.dtype, 'fp32');
  const norms = new Float32Array(norm.tensor.data);
  const halves = new Uint16Array(embedding.tensor.data);
  const wanted = direct.feature.map((value, i) => value / Math.max(norms[i >> 5]!, 1e-12));
  // The last bit of the division may differ, and therefore one step of the half.
  for (const [i, value] of encodeHalf(wanted).entries()) {
    assert.ok(Math.abs(halves[i]! - value) <= 1, `element ${i}`);
  }
  for (let position = 0; position < 35; position++) {
    const row = direct.feature.subarray(32 * position, 32 * (position + 1));
    assert.ok(
      Math.abs(Math.hypot(...row) - norms[position]!) < 1e-4 * (1 + norms[position]!),
      `norm ${norms[position]} at ${position}`,
    );
  }
  teacher.dispose();
  network.dispose();
  assert.equal(numTensors(), before);
});

test('an int8 embedding equals the fp32 one within half a step, and logits can be rebuilt from it', () => {
  const teacher = teacherWith();
  const image = randomImage(1, 40, 56);
  const ask = (encoding: 'fp32' | 'int8') =>
    outputsOf(
      teacher.infer(
        [image],
        [
          { output: 'logits', encoding: 'fp32' },
          { output: 'embedding', encoding },
          { output: 'embedding_scale', encoding: 'fp32' },
          { output: 'feature_norm', encoding: 'fp32' },
        ],
      )[0],
    ).map(({ tensor }) => tensor);
  const [logits, embedding] = ask('fp32');
  const [, rows, scales, norms] = ask('int8');
  assert.deepEqual([rows?.dtype, rows?.shape], ['int8', [5, 7, 32]]);
  assert.deepEqual([scales?.dtype, scales?.shape], ['fp32', [5, 7]]);
  const [q, scale] = [new Int8Array(rows!.data), new Float32Array(scales!.data)];
  for (const [i, value] of new Float32Array(embedding!.data).entries()) {
    const step = scale[i >> 5]!;
    assert.ok(Math.abs(q[i]! * step - value) <= 0.5001 * step, `element ${i}`);
  }
  const rebuild = new LogitsRebuild(teacher.classifier());
  const rebuilt = (reply: Pick<TeacherReply, 'embedding' | 'embeddingScale'>) =>
    scope(() => {
      const whole = { ...reply, logits: null, featureNorm: norms!, auxNorm: null };
      return readFloat32(decodeReplies([whole], rebuild).logits!);
    });
  const sent = new Float32Array(logits!.data);
  const spread = Math.max(...sent) - Math.min(...sent);
  const exact = rebuilt({ embedding: embedding!, embeddingScale: null });
  const rounded = rebuilt({ embedding: rows!, embeddingScale: scales! });
  for (const [i, value] of sent.entries()) {
    assert.ok(Math.abs(exact[i]! - value) < 1e-5 * spread, `fp32, element ${i}`);
    assert.ok(Math.abs(rounded[i]! - value) < 0.02 * spread, `int8, element ${i}`);
  }
  assert.notDeepEqual(rounded, exact);
  rebuild.dispose();
  teacher.dispose();
});

test('images of several sizes: each is answered as if alone', () => {
  const teacher = teacherWith();
  const images = [randomImage(1, 40, 56), randomImage(2, 40, 56), randomImage(3, 33, 17)];
  const together = teacher.infer(images, ALL).map(outputsOf);
  for (const [index, image] of images.entries()) {
    const [alone] = teacher.infer([image], ALL).map(outputsOf);
    assert.deepEqual(together[index], alone, `image ${index}`);
  }
  const buffers = together.flat().map(({ tensor }) => tensor.data);
  assert.equal(new Set(buffers).size, buffers.length);
  // Each can be transferred to another thread.
  for (const buffer of buffers) {
    const { byteLength } = buffer;
    assert.equal(structuredClone(buffer, { transfer: [buffer] }).byteLength, byteLength);
    assert.equal(buffer.byteLength, 0);
  }
  teacher.dispose();
});

test('the bits of an answer do not depend on the images that share its forward pass', () => {
  const specs = [
    { model: 'deeplabv3', backbone: 'resnet18', widthMultiplier: 0.25 },
    { model: 'psp', backbone: 'resnet18', widthMultiplier: 0.25 },
    { model: 'segformer', backbone: 'mit_b0', widthMultiplier: 1 },
  ] as const;
  for (const each of specs) {
    const spec = { ...each, variant: 'v1', numClasses: 3 } as const;
    const network = SegmentationNetwork.create(spec, initialWeights(1));
    const teacher = new TeacherNetwork(network, { ...DESCRIPTION, spec });
    const images = [1, 2, 3, 4, 5].map((index) => randomImage(index, 64, 96));
    const alone = images.map((image) => teacher.infer([image], ALL).map(outputsOf)[0]);
    for (const together of [images, images.slice(0, 2)]) {
      const answers = teacher.infer(together, ALL);
      for (const [index, answer] of answers.entries()) {
        assert.deepEqual(
          answer,
          alone[index],
          `${each.model}, image ${index} of ${together.length}`,
        );
      }
    }
    // More pixels than are computed at a time.
    const large = [6, 7].map((index) => randomImage(index, 40, 1648));
    assert.deepEqual(
      teacher.infer(large, ALL),
      large.map((image) => teacher.infer([image], ALL)[0]),
    );
    teacher.dispose();
  }
});

test('non-finite outputs become an error of their image only', () => {
  const teacher = teacherWith((dict) => {
    // Above the largest half, well within float32.
    dict.set('head.classifier.bias', float32Tensor(Float32Array.of(70000, 0, 0), [3]));
  });
  const image = randomImage(1, 24, 24);
  outputsOf(teacher.infer([image], [{ output: 'logits', encoding: 'fp32' }])[0]);
  const [half] = teacher.infer([image], [{ output: 'logits', encoding: 'fp16' }]);
  assert.match(String(half), /non-finite logits \(fp16\)/);
  teacher.dispose();
  const broken = teacherWith((dict) => {
    dict.set('head.classifier.bias', float32Tensor(Float32Array.of(Number.NaN, 0, 0), [3]));
  });
  const before = numTensors();
  assert.match(String(broken.infer([image], ALL)[0]), /non-finite logits/);
  assert.equal(numTensors(), before);
  broken.dispose();
});

test('unsupported requests and images of the wrong size are refused', () => {
  const teacher = teacherWith();
  const image = randomImage(1, 24, 24);
  const infer = (output: string, encoding: string) =>
    teacher.infer([image], [{ output, encoding } as (typeof ALL)[0]]);
  assert.throws(
    () => infer('logits', 'int8'),
    /encoding: int8 given for logits, wanted fp32, fp16/,
  );
  assert.throws(() => infer('embedding', 'fp8'), /encoding: fp8 given for embedding/);
  assert.throws(() => infer('classifier', 'fp32'), /output: classifier given, wanted logits/);
  assert.throws(() => teacher.infer([{ ...image, width: 25 }], ALL), /images\[0\]: 1728 bytes/);
  teacher.dispose();
});

test('the digest depends on weights, normalisation and architecture, and nothing else', () => {
  const digestOf = (description: ModelDescription, dict: Map<string, NamedTensor>) => {
    const teacher = TeacherNetwork.load(writeModelFile(description, dict));
    const { digest } = teacher.info;
    teacher.dispose();
    return digest;
  };
  const digest = digestOf(DESCRIPTION, stateDict());
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  assert.equal(digestOf({ ...DESCRIPTION, classNames: ['a', 'b', 'c'] }, stateDict()), digest);
  const normalisation = { ...DESCRIPTION.normalisation, channelOrder: 'rgb' } as const;
  assert.notEqual(digestOf({ ...DESCRIPTION, normalisation }, stateDict()), digest);
  const dict = stateDict();
  dict.set('head.classifier.bias', float32Tensor(Float32Array.of(0, 0, 1e-30), [3]));
  assert.notEqual(digestOf(DESCRIPTION, dict), digest);
});

test('model files keep description and weights; F16 rounds the weights', () => {
  const dict = stateDict();
  const full = readModelFile(writeModelFile(DESCRIPTION, dict));
  assert.deepEqual(full.description, DESCRIPTION);
  assert.deepEqual([...full.tensors.keys()], [...dict.keys()]);
  const small = readModelFile(writeModelFile(DESCRIPTION, dict, 'F16'));
  const name = 'head.block.0.weight';
  assert.equal(small.tensors.get(name)?.dtype, 'F16');
  const network = SegmentationNetwork.load(DESCRIPTION.spec, small.tensors);
  const again = writeModelFile(DESCRIPTION, network.stateDict(), 'F16');
  assert.deepEqual(again, writeModelFile(DESCRIPTION, dict, 'F16'));
  network.dispose();
});

test('unusable model files are refused, naming the key', () => {
  const dict = stateDict();
  const file = writeModelFile(DESCRIPTION, dict);
  const refused = (bytes: Uint8Array, message: RegExp) =>
    assert.throws(
      () => TeacherNetwork.load(bytes),
      (error) => error instanceof CheckpointError && message.test(error.message),
    );
  const before = numTensors();
  refused(file.subarray(0, 5), /model file: header length/);
  refused(file.subarray(0, 200), /model file/);
  refused(file.subarray(0, file.length - 1), /model file: .*wants/);
  refused(formatSafetensors(dict, {}), /format: 'undefined' given, wanted 'cirkd-model\/1'/);
  const good = {
    format: 'cirkd-model/1',
    model: 'psp_mobile',
    backbone: 'mobilenetv2',
    variant: 'v2',
    num_classes: '3',
    width_multiplier: '0.25',
    pixel_mean: '[1,2,3]',
    pixel_std: '[1,2,3]',
    channel_order: 'rgb',
    class_names: '["a","b","c"]',
  };
  // A Buffer, as from readFile, at an odd offset of a larger one.
  const inside = Buffer.concat([Buffer.alloc(1), formatSafetensors(dict, good)]).subarray(1);
  TeacherNetwork.load(inside).dispose();
  const wrong: [Record<string, string>, RegExp][] = [
    [{ model: 'unet' }, /model: 'unet'/],
    [{ num_classes: 'three' }, /numClasses: NaN/],
    [{ pixel_mean: '[1,2]' }, /pixel_mean: \[1,2\]/],
    [{ pixel_mean: 'x' }, /pixel_mean: 'x'/],
    [{ pixel_std: '[1,0,1]' }, /pixel_std/],
    [{ channel_order: 'grb' }, /channel_order: 'grb'/],
    [{ class_names: '["a"]' }, /class_names: .*3 names/],
    [{ num_classes: '4', class_names: '["a","b","c","d"]' }, /head\.classifier\.weight \[3,/],
  ];
  for (const [change, message] of wrong) {
    refused(formatSafetensors(dict, { ...good, ...change }), message);
  }
  for (const key of Object.keys(good)) {
    if (key === 'format') continue;
    const { [key]: _, ...rest } = good as Record<string, string>;
    refused(formatSafetensors(dict, rest), new RegExp(`${key}: missing`));
  }
  assert.equal(numTensors(), before);
});
