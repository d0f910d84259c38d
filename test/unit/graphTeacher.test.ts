/** Compares the answers of a graph as a teacher with the same convolutions in plain loops. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { RefusedImageError } from '../../src/contract/inference.js';
import type { EncodedOutput } from '../../src/contract/outputs.js';
import type { GraphSettings } from '../../src/graphs/graphSettings.js';
import type { GraphTeacher } from '../../src/graphs/graphTeacher.js';
import { drawsFor } from '../../src/random/draws.js';
import { numTensors } from '../../src/tensor/index.js';
import { openTiny, writeTiny } from '../support/onnx/openTiny.js';
import { type TinyGraph, tinyForward } from '../support/onnx/tinyGraph.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-graph-'));
const opened: GraphTeacher[] = [];

async function teacherOf(graph: TinyGraph = {}, settings: Partial<GraphSettings> = {}) {
  const teacher = await openTiny(writeTiny(folder, graph), settings);
  opened.push(teacher);
  return teacher;
}

afterEach(async () => {
  for (const teacher of opened.splice(0)) await teacher.dispose();
});
after(() => rmSync(folder, { recursive: true }));

const ALL = [
  { output: 'logits', encoding: 'fp32' },
  { output: 'embedding', encoding: 'fp32' },
  { output: 'feature_norm', encoding: 'fp32' },
] as const;

function randomImage(index: number, height: number, width: number) {
  const draws = drawsFor(5, 'test', index);
  const rgb = Uint8Array.from({ length: height * width * 3 }, () => draws.integer(256));
  return { height, width, rgb };
}

type Image = ReturnType<typeof randomImage>;

function floats(result: EncodedOutput[] | Error | undefined): Record<string, Float32Array> {
  assert.ok(Array.isArray(result), String(result));
  return Object.fromEntries(
    result.map(({ output, tensor }) => [output, new Float32Array(tensor.data)]),
  );
}

function assertClose(got: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number): void {
  assert.equal(got.length, wanted.length);
  const largest = Array.from(wanted).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const worst = Array.from(wanted).reduce((most, x, i) => Math.max(most, Math.abs(x - got[i]!)), 0);
  assert.ok(worst <= tolerance * largest, `${worst} apart, the largest is ${largest}`);
}

/** The feature: embedding times norm. */
function assertAnswers(
  result: EncodedOutput[] | Error | undefined,
  graph: TinyGraph,
  { height, width, rgb }: Image,
  pixels: ArrayLike<number> = rgb,
  tolerance = 1e-5,
): void {
  const { logits, embedding, feature_norm: norm } = floats(result);
  const wanted = tinyForward(graph, { height, width, pixels });
  assertClose(logits!, wanted.logits, tolerance);
  const channels = embedding!.length / norm!.length;
  const feature = embedding!.map((x, i) => x * norm![Math.floor(i / channels)]!);
  assertClose(feature, wanted.feature, tolerance);
}

test('the graph gives only what is requested, with the same values', async () => {
  const runs: (readonly string[])[] = [];
  const teacher = await openTiny(writeTiny(folder), {}, (names) => runs.push(names));
  opened.push(teacher);
  assert.equal(teacher.info.hasAuxLogits, false);
  const image = randomImage(3, 40, 64);
  const whole = floats((await teacher.infer([image], ALL))[0]);
  const [both] = runs.splice(0).slice(-1);
  assert.equal(both?.length, 2);
  for (const [index, outputs] of [[ALL[0]], [ALL[2]]].entries()) {
    const part = floats((await teacher.infer([image], outputs))[0]);
    assert.deepEqual(runs.splice(0), [[both[index]]]);
    const { output } = outputs[0]!;
    assert.deepEqual(part, { [output]: whole[output] });
  }
});

test("answers equal the graph's outputs, alone and in batches of mixed sizes", async () => {
  const before = numTensors();
  const teacher = await teacherOf();
  assert.equal(teacher.info.classes, 12);
  assert.equal(teacher.info.featureChannels, 16);
  assert.equal(teacher.info.outputStride, 8);
  assert.equal(teacher.info.alignCorners, false);
  assert.equal(teacher.info.numericMode, 'onnxruntime-fp32');
  assert.equal(teacher.classifier(), null);
  const images = [
    randomImage(1, 40, 57),
    randomImage(2, 40, 57),
    randomImage(3, 17, 8),
    randomImage(4, 40, 57),
  ];
  const results = await teacher.infer(images, ALL);
  assert.equal(results.length, images.length);
  for (const [index, image] of images.entries()) {
    assertAnswers(results[index], {}, image);
    const [alone] = await teacher.infer([image], ALL);
    assert.deepEqual(floats(alone), floats(results[index]));
  }
  assert.equal(numTensors(), before, 'no tensor is left over');
});

test('pixels are normalised and channels reordered before the graph', async () => {
  const image = randomImage(5, 16, 24);
  const imagenet = await teacherOf({}, { normalisation: 'imagenet' });
  const [mean, std] = [
    [123.675, 116.28, 103.53],
    [58.395, 57.12, 57.375],
  ];
  const scaled = Float64Array.from(image.rgb, (x, i) => (x - mean[i % 3]!) / std[i % 3]!);
  assertAnswers((await imagenet.infer([image], ALL))[0], {}, image, scaled);
  assert.deepEqual(imagenet.info.pixelMean, mean);
  const own = await teacherOf(
    {},
    { normalisation: null, pixelMean: [1, 2, 3], pixelStd: [2, 4, 8], channelOrder: 'bgr' },
  );
  const bgr = Float64Array.from(image.rgb, (_, i) => {
    const channel = i % 3;
    return (image.rgb[i - channel + 2 - channel]! - (channel + 1)) / 2 ** (channel + 1);
  });
  assertAnswers((await own.infer([image], ALL))[0], {}, image, bgr);
  assert.equal(own.info.channelOrder, 'bgr');
});

test('channels last, and bytes and halves as input, are detected from the graph', async () => {
  const image = randomImage(6, 24, 40);
  for (const graph of [{ layout: 'nhwc' }, { dtype: 'uint8' }] as const) {
    const teacher = await teacherOf(graph);
    assertAnswers((await teacher.infer([image, image], ALL))[1], graph, image);
  }
  const half = await teacherOf({ dtype: 'float16' });
  assertAnswers((await half.infer([image], ALL))[0], {}, image, image.rgb, 1e-3);
});

test('without names, the feature is detected by size and channels, the logits by the classes', async () => {
  const graph = { names: ['a', 'b'] as const, classes: 5, channels: 9 };
  const teacher = await teacherOf(graph, { classes: 5 });
  assert.equal(teacher.info.featureChannels, 9);
  const image = randomImage(7, 32, 32);
  assertAnswers((await teacher.infer([image], ALL))[0], graph, image);
  const named = await teacherOf(graph, { logits: 'b', feature: 'a' });
  assert.equal(named.info.classes, 9);
  assert.equal(named.info.featureChannels, 5);
});

test('with one output, or feature: none, only logits can be requested', async () => {
  const image = randomImage(8, 32, 48);
  for (const teacher of [
    await teacherOf({ names: ['scores', null] }),
    await teacherOf({}, { feature: 'none' }),
  ]) {
    assert.equal(teacher.info.featureChannels, 0);
    const [result] = await teacher.infer([image], [ALL[0]]);
    const pixels = image.rgb;
    assertClose(floats(result)['logits']!, tinyForward({}, { ...image, pixels }).logits, 1e-5);
    await assert.rejects(
      teacher.infer([image], ALL),
      /embedding given, and the network provides no feature/,
    );
  }
});

test('a graph for single images gets them one by one', async () => {
  const teacher = await teacherOf({ batch: 1 });
  const images = [1, 2, 3].map((index) => randomImage(index, 16, 16));
  const results = await teacher.infer(images, ALL);
  images.forEach((image, index) => {
    assertAnswers(results[index], {}, image);
  });
});

test('a graph with a fixed size refuses each image of another size individually', async () => {
  const teacher = await teacherOf({ size: [32, 48] });
  const [right, wrong] = [randomImage(1, 32, 48), randomImage(2, 48, 32)];
  const results = await teacher.infer([right, wrong, right], ALL);
  assertAnswers(results[0], {}, right);
  assertAnswers(results[2], {}, right);
  assert.ok(results[1] instanceof RefusedImageError);
  assert.match(results[1].message, /48 x 32 given, the teacher's graph takes 32 x 48/);
});

test('a NaN or an infinity affects only its own image', async () => {
  // Bright pixels overflow float32, black ones don't.
  const scale = { normalisation: null, pixelMean: [0, 0, 0], channelOrder: 'rgb' } as const;
  const teacher = await teacherOf({}, { ...scale, pixelStd: [2e-38, 2e-38, 2e-38] });
  const bright = { height: 8, width: 8, rgb: new Uint8Array(192).fill(255) };
  const black = { height: 8, width: 8, rgb: new Uint8Array(192) };
  const results = await teacher.infer([black, bright, black], ALL);
  assert.ok(results[1] instanceof Error && !(results[1] instanceof RefusedImageError));
  assert.match(results[1].message, /non-finite logits/);
  assertAnswers(results[0], {}, black);
  assertAnswers(results[2], {}, black);
});

test('the digest covers graph and settings, not display names', async () => {
  const path = writeTiny(folder, {});
  const digestOf = async (file: string, settings: Partial<GraphSettings> = {}) => {
    const teacher = await openTiny(file, settings);
    opened.push(teacher);
    return teacher.info.digest;
  };
  const digest = await digestOf(path);
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await digestOf(writeTiny(folder, {})), digest);
  const classNames = Array.from({ length: 12 }, (_, k) => `c${k}`);
  assert.equal(await digestOf(path, { classNames }), digest);
  const others = [
    await digestOf(writeTiny(folder, { seed: 2 })),
    await digestOf(path, { normalisation: 'unit' }),
    await digestOf(path, { feature: 'none' }),
    await digestOf(path, { alignCorners: true }),
    await digestOf(writeTiny(folder, { externalFile: 'weights.bin' })),
    await digestOf(writeTiny(folder, { externalFile: 'weights.bin', seed: 2 })),
  ];
  assert.equal(new Set([digest, ...others]).size, others.length + 1);
});
