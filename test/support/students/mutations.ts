/** The requests of a right call with one message made wrong; each number is always the same one. */
import { InferenceService } from '../../../src/oip/codec/inferenceService.js';
import { type Draws, drawsFor } from '../../../src/random/draws.js';
import { TeacherService } from '../../../src/stream/codec/teacherService.js';
import { inferRequest } from '../oip/oipPeer.js';
import { hello, image } from './distillPeer.js';
import { DISTILL_PATH, framed } from './rawDistill.js';

/** `others`: right messages of the same call, to take the place of this one or to be put behind it. */
export type Mutation = (message: Buffer, draws: Draws, others: readonly Buffer[]) => Buffer;

const { requestSerialize } = TeacherService.service.Distill;

const DISTILL: readonly Buffer[] = [
  requestSerialize({ hello: hello({ creditBytes: 100_000, maxChunkBytes: 4096 }) }),
  requestSerialize({
    image: { ...image(1, 7), sampleKey: { sample: 'a.png', augmentationSeed: '77' } },
  }),
  requestSerialize({ creditBytes: 5000 }),
  requestSerialize({ image: image(2, 8) }),
  requestSerialize({ cancel: { id: 2 } }),
];

/** 2^64 - 1, the largest there is, and one that has no end. */
const HUGE = Buffer.from('ffffffffffffffffff01', 'hex');
const ENDLESS = Buffer.alloc(12, 0xff);

export const OF_BYTES: Readonly<Record<string, Mutation>> = {
  bitsFlipped(message, draws) {
    const bytes = Buffer.from(message);
    for (let flips = 1 + draws.integer(8); flips > 0; flips--) {
      const at = draws.integer(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << draws.integer(8));
    }
    return bytes;
  },
  headFlipped(message, draws) {
    const bytes = Buffer.from(message);
    const at = draws.integer(Math.min(bytes.length, 40));
    bytes[at] = draws.integer(256);
    return bytes;
  },
  truncated: (message, draws) => message.subarray(0, draws.integer(message.length)),
  cutOut(message, draws) {
    const [from, to] = range(message, draws);
    return Buffer.concat([message.subarray(0, from), message.subarray(to)]);
  },
  doubled(message, draws) {
    const [from, to] = range(message, draws);
    return Buffer.concat([message.subarray(0, to), message.subarray(from)]);
  },
  hugeNumber: (message, draws) => inserted(message, HUGE, draws),
  endlessNumber: (message, draws) => inserted(message, ENDLESS, draws),
  fieldAdded(message, draws) {
    const length = draws.integer(20);
    const field = [
      draws.integer(256),
      draws.integer(40),
      ...Array(length).fill(draws.integer(256)),
    ];
    return inserted(message, Buffer.from(field), draws);
  },
  merged: (message, draws, others) => Buffer.concat([message, one(draws, others)]),
  replaced: (_, draws, others) => one(draws, others),
  random: (_, draws) =>
    Buffer.from(Array.from({ length: draws.integer(300) }, () => draws.integer(256))),
};

const OF_FRAMES: Readonly<Record<string, Mutation>> = {
  saidToBeCompressed(frame) {
    frame[0] = 1;
    return frame;
  },
  wrongFlag(frame, draws) {
    frame[0] = draws.integer(256);
    return frame;
  },
  wrongLength(frame, draws) {
    frame.writeUInt32BE(draws.integer(2 * frame.length), 1);
    return frame;
  },
  hugeLength(frame, draws) {
    frame.writeUInt32BE(draws.uint32(), 1);
    return frame;
  },
  frameCut: (frame, draws) => frame.subarray(0, draws.integer(frame.length)),
};

const NAMES = [...Object.keys(OF_BYTES), ...Object.keys(OF_FRAMES)];

export interface MutatedCall {
  readonly mutation: string;
  readonly path: string;
  /** All frames of the call. */
  readonly body: Buffer;
}

/** A Distill stream. */
export function mutatedCall(number: number): MutatedCall {
  const draws = drawsFor(1, 'test', number);
  return { path: DISTILL_PATH, ...mutated(DISTILL, DISTILL, draws) };
}

const { service } = InferenceService;
const infer = service.ModelInfer.requestSerialize;
const right = inferRequest({ id: 'a', shades: [7, 8], size: [16, 24], outputs: ['logits'] });
const parameters = { timeout: { int64Param: 900_000 }, mine: { stringParam: 'x' } };
const INFER: readonly Buffer[] = [
  infer({ ...right, parameters }),
  infer(inferRequest({ id: 'b', outputs: ['feature_fp16', 'feature_norm', 'embedding'] })),
  infer({
    ...right,
    rawInputContents: [],
    inputs: [{ ...right.inputs[0]!, contents: { uintContents: Array(2304).fill(200) } }],
  }),
];
const NAMED = [
  service.ModelReady,
  service.ModelMetadata,
  service.ModelConfig,
  service.ModelStatistics,
];

/** A call of the Open Inference Protocol: half of them a stream, the others one request. */
export function mutatedInferenceCall(number: number): MutatedCall {
  const draws = drawsFor(2, 'test', number);
  const kind = draws.integer(8);
  if (kind < 4) return { path: service.ModelStreamInfer.path, ...mutated(INFER, INFER, draws) };
  if (kind < 7) {
    const message = one(draws, INFER);
    return { path: service.ModelInfer.path, ...mutated([message], INFER, draws) };
  }
  const { path, requestSerialize: serialize } = NAMED[draws.integer(NAMED.length)]!;
  const message = serialize({ name: 'cirkd', version: '1' });
  return { path, ...mutated([message], INFER, draws) };
}

function mutated(
  messages: readonly Buffer[],
  others: readonly Buffer[],
  draws: Draws,
): Omit<MutatedCall, 'path'> {
  const mutation = NAMES[draws.integer(NAMES.length)] as string;
  const victim = draws.integer(messages.length);
  const frames = messages.map((message, index) => {
    if (index !== victim) return framed(message);
    const ofBytes = OF_BYTES[mutation];
    if (ofBytes) return framed(ofBytes(message, draws, others));
    return (OF_FRAMES[mutation] as Mutation)(framed(message), draws, others);
  });
  return { mutation, body: Buffer.concat(frames) };
}

function range(message: Buffer, draws: Draws): [number, number] {
  const ends = [draws.integer(message.length + 1), draws.integer(message.length + 1)];
  return [Math.min(...ends), Math.max(...ends)];
}

function inserted(message: Buffer, bytes: Buffer, draws: Draws): Buffer {
  const at = draws.integer(message.length + 1);
  return Buffer.concat([message.subarray(0, at), bytes, message.subarray(at)]);
}

function one(draws: Draws, messages: readonly Buffer[]): Buffer {
  return messages[draws.integer(messages.length)] as Buffer;
}
