/** Pixels to a model's input, and a model's outputs to a reply, against references written out plainly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { normalise } from '../../src/models/normalise.js';
import {
  NonFiniteAnswerError,
  type RawOutput,
  replyOf as replyWith,
} from '../../src/oip/client/answerTensors.js';
import { AnswerThread } from '../../src/oip/client/answerThread.js';
import { readAnswer } from '../../src/oip/client/inferAnswer.js';
import { Misfits } from '../../src/oip/client/misfit.js';
import {
  type ModelOutput,
  type OutputDatatype,
  readModelOutputs,
} from '../../src/oip/client/modelOutputs.js';
import { inputBytes, PixelEncoder } from '../../src/oip/client/pixels.js';
import { type StatedTensor, tensorText } from '../../src/oip/client/serverFacts.js';
import {
  INPUT_DATATYPES,
  type InputDatatype,
  type Layout,
  NO_OIP_SETTINGS,
} from '../../src/oip/client/settings.js';
import type { ModelInferResponse } from '../../src/oip/generated/inference/ModelInferResponse.js';
import { readFloat32, scope } from '../../src/tensor/index.js';
import { startThread } from '../../src/threads/startThread.js';
import { narrowBfloat16, widenBfloat16 } from '../../src/wire/bfloat16.js';
import { encodeHalf, halfFromFloat } from '../../src/wire/half.js';

const ALL = ['logits', 'embedding', 'feature_norm'] as const;

const replyOf = (outputs: readonly RawOutput[]) => replyWith(outputs, ALL);

const LAYOUTS: readonly Layout[] = ['nchw', 'nhwc'];
const IMAGENET = {
  pixelMean: [123.675, 116.28, 103.53],
  pixelStd: [58.395, 57.12, 57.375],
  channelOrder: 'rgb',
} as const;
const OFFICIAL = {
  pixelMean: [104.00698793, 116.66876762, 122.67891434],
  pixelStd: [1, 1, 1],
  channelOrder: 'bgr',
} as const;
const RAW = { pixelMean: [0, 0, 0], pixelStd: [1, 1, 1], channelOrder: 'bgr' } as const;

/** Every byte in every channel. */
function image(height = 16, width = 48) {
  const rgb = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 89 + (i >> 8)) % 256);
  return { height, width, rgb };
}

/** bfloat16 nearest to a float, found by trying its neighbours. */
function nearestBfloat16(value: number): number {
  const word = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const low = word >>> 16;
  const [a, b] = [low, low + 1].map((bits) => widenBfloat16(Uint16Array.of(bits))[0]!);
  const [toA, toB] = [Math.abs(value - a!), Math.abs(value - b!)];
  return toA < toB || (toA === toB && low % 2 === 0) ? low : low + 1;
}

function elementOf(datatype: InputDatatype, value: number, byte: number): number {
  if (datatype === 'UINT8') return byte;
  if (datatype === 'FP32') return value;
  return datatype === 'FP16' ? halfFromFloat(value) : nearestBfloat16(value);
}

const ARRAYS = { FP32: Float32Array, FP16: Uint16Array, BF16: Uint16Array, UINT8: Uint8Array };

for (const datatype of INPUT_DATATYPES) {
  for (const layout of LAYOUTS) {
    test(`an image as ${datatype}, ${layout}`, () => {
      for (const pixels of datatype === 'UINT8' ? [RAW] : [IMAGENET, OFFICIAL]) {
        const { height, width, rgb } = image();
        const order = pixels.channelOrder === 'rgb' ? [0, 1, 2] : [2, 1, 0];
        const at = (y: number, x: number, c: number) => {
          const byte = rgb[(y * width + x) * 3 + order[c]!]!;
          const { fround } = Math;
          const centred = fround(byte - fround(pixels.pixelMean[c]!));
          return elementOf(datatype, fround(centred / fround(pixels.pixelStd[c]!)), byte);
        };
        const wanted: number[] = [];
        const [outer, middle, inner] = layout === 'nchw' ? [3, height, width] : [height, width, 3];
        for (let a = 0; a < outer; a++) {
          for (let b = 0; b < middle; b++) {
            for (let c = 0; c < inner; c++) {
              wanted.push(layout === 'nchw' ? at(b, c, a) : at(a, b, c));
            }
          }
        }
        const bytes = new PixelEncoder({ datatype, layout, pixels }).encode({ height, width, rgb });
        assert.equal(bytes.length, inputBytes(datatype, height, width));
        const values = new ARRAYS[datatype](bytes.slice().buffer);
        assert.deepEqual([...values], wanted);
      }
    });
  }
}

test("single precision has the bits of the project's own networks", () => {
  const { height, width, rgb } = image();
  for (const pixels of [IMAGENET, OFFICIAL]) {
    const encoder = new PixelEncoder({ datatype: 'FP32', layout: 'nhwc', pixels });
    const given = new Float32Array(encoder.encode({ height, width, rgb }).slice().buffer);
    const wanted = scope(() =>
      readFloat32(normalise({ height, width, rgb: [rgb] }, pixels)).slice(),
    );
    assert.deepEqual(given, wanted);
  }
});

test('raw R G B, H W C is the image itself, uncopied', () => {
  const { height, width, rgb } = image();
  const pixels = { ...RAW, channelOrder: 'rgb' } as const;
  const encoder = new PixelEncoder({ datatype: 'UINT8', layout: 'nhwc', pixels });
  assert.equal(encoder.encode({ height, width, rgb }), rgb);
});

test('bfloat16: nearest, ties to even, infinities and NaN', () => {
  const values = [0, -0, 1, 1.00390625, 1.01171875, -2.7109375, 3.3895314e38, 1e-40, 65504];
  const bits = narrowBfloat16(Float32Array.from(values));
  const positive = values.map((value) => Math.abs(value));
  assert.deepEqual(
    [...bits].map((each) => each & 0x7fff),
    positive.map((value) => nearestBfloat16(Math.fround(value))),
  );
  assert.equal(bits[5]! >>> 15, 1);
  const special = narrowBfloat16(Float32Array.of(Infinity, -Infinity, NaN, 3.4e38));
  const back = widenBfloat16(special);
  assert.deepEqual([...back], [Infinity, -Infinity, NaN, Infinity]);
  // A NaN whose upper half alone would be an infinity.
  const [nan] = narrowBfloat16(new Float32Array(Uint32Array.of(0x7f800001).buffer));
  assert.ok(Number.isNaN(widenBfloat16(Uint16Array.of(nan!))[0]), `${nan}`);
});

const [H, W, K, D] = [3, 5, 19, 37];

/** Exact in every data type. */
const exactValue = (p: number, c: number) => ((p * 7 + c * 3) % 31) - 15;

function raw(
  role: ModelOutput['role'],
  channels: number | null,
  datatype: OutputDatatype,
  layout: Layout,
  change: (values: Float32Array) => void = () => {},
): RawOutput {
  const count = channels ?? 1;
  const values = Float32Array.from({ length: H * W * count }, (_, i) =>
    layout === 'nchw' && channels !== null
      ? exactValue(i % (H * W), Math.floor(i / (H * W)))
      : exactValue(Math.floor(i / count), i % count),
  );
  change(values);
  const data =
    datatype === 'FP32'
      ? values
      : datatype === 'FP16'
        ? encodeHalf(values)
        : narrowBfloat16(values);
  const output = { role, name: role, datatype, layout, hasBatchAxis: true, channels };
  return { output, height: H, width: W, data: data.buffer };
}

function floats(tensor: { readonly data: ArrayBuffer } | null): number[] {
  return [...new Float32Array(tensor!.data)];
}

const wantedRows = (channels: number) =>
  Array.from({ length: H * W }, (_, p) =>
    Array.from({ length: channels }, (_, c) => exactValue(p, c)),
  );

for (const datatype of ['FP32', 'FP16', 'BF16'] as const) {
  for (const layout of LAYOUTS) {
    test(`outputs in ${datatype}, ${layout}`, () => {
      const reply = replyOf([
        raw('logits', K, datatype, layout),
        raw('feature', D, datatype, layout),
      ]);
      assert.deepEqual(reply.logits!.shape, [H, W, K]);
      assert.deepEqual(floats(reply.logits), wantedRows(K).flat());
      const norms = wantedRows(D).map((row) => Math.fround(Math.hypot(...row)));
      assert.deepEqual(reply.featureNorm!.shape, [H, W]);
      assert.deepEqual(floats(reply.featureNorm), norms);
      assert.deepEqual(reply.embedding!.shape, [H, W, D]);
      assert.deepEqual(
        floats(reply.embedding),
        wantedRows(D).flatMap((row, p) => row.map((value) => Math.fround(value / norms[p]!))),
      );
      assert.equal(new Set(Object.values(reply).map((tensor) => tensor?.data)).size, 4);
    });
  }
}

test('unit rows and norms of a server that gives these are taken as they are', () => {
  const reply = replyOf([
    raw('logits', K, 'FP32', 'nhwc'),
    raw('embedding', D, 'FP32', 'nhwc'),
    raw('feature_norm', null, 'FP32', 'nhwc'),
  ]);
  assert.deepEqual(floats(reply.embedding), wantedRows(D).flat());
  assert.deepEqual(floats(reply.featureNorm), wantedRows(1).flat());
});

test('a feature of zeros has rows of zeros', () => {
  const zeros = raw('feature', D, 'FP32', 'nhwc', (values) => values.fill(0));
  const reply = replyOf([raw('logits', K, 'FP32', 'nhwc'), zeros]);
  assert.ok(floats(reply.embedding).every((value) => value === 0));
  assert.ok(floats(reply.featureNorm).every((value) => value === 0));
});

test('what is not finite is named: a value, a norm that overflows', () => {
  for (const [datatype, value] of [
    ['FP32', Number.NaN],
    ['FP32', Number.POSITIVE_INFINITY],
    ['FP16', 1e6],
    ['BF16', Number.NEGATIVE_INFINITY],
  ] as const) {
    const broken = raw('logits', K, datatype, 'nchw', (values) => {
      values[H * W + 2] = value;
    });
    assert.throws(
      () => replyOf([broken]),
      (error) => {
        assert.ok(error instanceof NonFiniteAnswerError);
        // Position 2, channel 1, in the order of the reply.
        assert.match(
          error.message,
          new RegExp(`non-finite logits: .* at ${2 * K + 1} of \\[3,5,19\\]`),
        );
        return true;
      },
    );
  }
  const large = raw('feature', D, 'FP32', 'nhwc', (values) => values.fill(3e38));
  assert.throws(() => replyOf([large]), /non-finite norm of feature: Infinity at 0 of \[3,5\]/);
});

test('the thread gives what the event loop would, and its errors', async () => {
  const thread = new AnswerThread();
  try {
    const channels = 4096;
    const big = (change?: (values: Float32Array) => void) => [
      raw('logits', K, 'FP32', 'nchw'),
      raw('feature', channels, 'FP32', 'nchw', change),
    ];
    const given = big();
    const bytes = given[1]!.data;
    const [reply, again] = await Promise.all([thread.reply(given, ALL), thread.reply(big(), ALL)]);
    assert.equal(bytes.byteLength, 0, 'the buffer was copied, not moved');
    const wanted = replyOf(big());
    for (const name of ['logits', 'embedding', 'featureNorm'] as const) {
      assert.deepEqual(floats(reply[name]), floats(wanted[name]));
      assert.deepEqual(floats(again[name]), floats(wanted[name]));
    }
    const broken = big((values) => {
      values[77] = Number.NaN;
    });
    await assert.rejects(thread.reply(broken, ALL), NonFiniteAnswerError);
  } finally {
    await thread.close();
  }
});

test('a thread that dies is replaced; one that always dies is done without', async () => {
  const workers: Worker[] = [];
  const url = new URL('../../src/oip/client/answerThread.ts', import.meta.url).href;
  const thread = new AnswerThread(() => {
    workers.push(startThread(url, './answerWorker.ts', null));
    return workers.at(-1)!;
  });
  const big = () => [raw('logits', K, 'FP32', 'nchw'), raw('feature', 4096, 'FP32', 'nchw')];
  const wanted = floats(replyOf(big()).embedding);
  try {
    for (let deaths = 1; deaths <= 3; deaths++) {
      assert.deepEqual(floats((await thread.reply(big(), ALL)).embedding), wanted);
      await workers.at(-1)!.terminate();
      assert.equal(workers.length, deaths);
    }
    assert.deepEqual(floats((await thread.reply(big(), ALL)).embedding), wanted);
    assert.equal(workers.length, 3);
  } finally {
    await thread.close();
  }
});

test("texts about a server's answer stay short, whatever it says", () => {
  const wanted: ModelOutput = {
    ...{ role: 'logits', name: 'logits', datatype: 'FP32', layout: 'nchw' },
    ...{ hasBatchAxis: true, channels: 3 },
  };
  const [name, shape] = ['n'.repeat(1e6), Array.from({ length: 1e5 }, () => 7)];
  const given = [
    [{ name: 'logits', datatype: 'FP32', shape }],
    [{ name: 'logits', datatype: name, shape }],
    Array.from({ length: 1e4 }, () => ({ name, datatype: 'FP32', shape: [1] })),
  ];
  for (const outputs of given) {
    const response = { outputs, rawOutputContents: [] } as unknown as ModelInferResponse;
    assert.throws(
      () => readAnswer(response, [wanted], { height: 8, width: 8 }, 8),
      ({ message }: Error) => message.length < 2000,
    );
  }
  assert.ok(tensorText({ name, datatype: name, shape }).length < 300);
});

test('a map without channels is no feature, and strides of a huge image are found at once', () => {
  const read = (height: number, outputs: readonly StatedTensor[]) =>
    readModelOutputs(
      {
        trial: { height, width: 64, outputs },
        input: { layout: 'nchw', hasBatchAxis: true },
        ...{
          stated: {},
          settings: NO_OIP_SETTINGS,
          expected: { classes: 3, outputStride: 8, needsFeature: true },
        },
      },
      new Misfits(),
    );
  const logits = { name: 'logits', datatype: 'FP32', shape: [1, 3, 8, 8] };
  const empty = { name: 'feature', datatype: 'FP32', shape: [1, 0, 8, 8] };
  assert.deepEqual(
    read(64, [logits, empty])?.outputs.map(({ role }) => role),
    ['logits'],
  );
  const start = performance.now();
  assert.equal(read(2 ** 26, [{ ...logits, shape: [1, 3, 5, 5] }]), undefined);
  assert.ok(performance.now() - start < 200);
});
