/** Client options with small times, images that can be told apart, and a check of their answers. */
import assert from 'node:assert/strict';
import type { EncodedTensor } from '../../../src/contract/encodedTensor.js';
import type { TeacherImage, TeacherReply } from '../../../src/contract/teacher.js';
import type {
  ClientOptions,
  NameState,
  RequeueReason,
} from '../../../src/stream/client/options.js';
import { decodeHalf } from '../../../src/wire/half.js';
import { CHANNELS, CLASSES, expectedValues, STRIDE } from '../teachers/scriptedTeacher.js';

export interface Observed {
  readonly requeued: RequeueReason[];
  readonly states: string[];
  readonly names: NameState[];
  receivedBytes: number;
  inflightBytes: number;
  worstInflightBytes: number;
}

/** Options for the given teachers, and what their hooks are told. */
export function studentOptions(
  addresses: readonly string[],
  changes: Partial<ClientOptions> = {},
): { options: ClientOptions; observed: Observed } {
  const observed: Observed = {
    requeued: [],
    states: [],
    names: [],
    receivedBytes: 0,
    inflightBytes: 0,
    worstInflightBytes: 0,
  };
  const options: ClientOptions = {
    addresses,
    runId: 'test-run',
    encoding: 'fp32',
    expected: { classes: CLASSES, outputStride: STRIDE },
    requestTimeoutMs: 20_000,
    teacherTimeoutMs: 20_000,
    maxInflightBytes: 1_000_000,
    jitter: () => 0.5,
    firstBackoffMs: 4,
    maxBackoffMs: 20,
    firstInflightImagesPerTeacher: 99,
    onRequeued: (reason) => observed.requeued.push(reason),
    onTeacher: ({ address, state }) => observed.states.push(`${address} ${state}`),
    onName: (state) => observed.names.push(state),
    onReceivedBytes: (bytes) => {
      observed.receivedBytes += bytes;
    },
    onInflightBytes: (bytes) => {
      observed.inflightBytes = bytes;
      observed.worstInflightBytes = Math.max(observed.worstInflightBytes, bytes);
    },
    ...changes,
  };
  return { options, observed };
}

/** Image `number`, whose answer differs from that of every other number below 65536. */
export function imageOf(number: number, height = 17, width = 24): TeacherImage {
  const rgb = new Uint8Array(height * width * 3).fill(number % 251);
  rgb[0] = number % 256;
  rgb[1] = Math.floor(number / 256);
  return { sample: `sample-${number}`, augmentationSeed: BigInt(number), height, width, rgb };
}

/** Fails unless `reply` is the scripted teacher's answer to `image`, each buffer its own. */
export function assertAnswers(reply: TeacherReply, image: TeacherImage, dtype = 'fp32'): void {
  const h = Math.ceil(image.height / STRIDE);
  const w = Math.ceil(image.width / STRIDE);
  const wanted: [EncodedTensor, string, string, number[]][] = [
    [reply.logits!, 'OUTPUT_LOGITS', dtype, [h, w, CLASSES]],
    [reply.embedding!, 'OUTPUT_EMBEDDING', dtype, [h, w, CHANNELS]],
    [reply.featureNorm!, 'OUTPUT_FEATURE_NORM', 'fp32', [h, w]],
  ];
  for (const [tensor, output, tensorDtype, shape] of wanted) {
    assert.equal(tensor.dtype, tensorDtype, output);
    assert.deepEqual(tensor.shape, shape, output);
    const values =
      tensor.dtype === 'fp16'
        ? decodeHalf(new Uint16Array(tensor.data))
        : new Float32Array(tensor.data);
    const count = shape.reduce((a, b) => a * b);
    assert.deepEqual(values, expectedValues(image.rgb, output, count), output);
  }
  assert.equal(new Set(wanted.map(([tensor]) => tensor.data)).size, 3);
}
