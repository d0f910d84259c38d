/** The requests of a right call with one message made wrong; each number is always the same one. */
import { type Draws, drawsFor } from '../../../src/random/draws.js';
import { TeacherService } from '../../../src/stream/codec/teacherService.js';
import { hello, image } from './distillPeer.js';
import { framed } from './rawDistill.js';

type Mutation = (message: Buffer, draws: Draws) => Buffer;

const { requestSerialize } = TeacherService.service.Distill;

const RIGHT: readonly Buffer[] = [
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

const OF_BYTES: Readonly<Record<string, Mutation>> = {
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
  merged: (message, draws) => Buffer.concat([message, one(draws)]),
  replaced: (_, draws) => one(draws),
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
  /** All frames of the call. */
  readonly body: Buffer;
}

export function mutatedCall(number: number): MutatedCall {
  const draws = drawsFor(1, 'test', number);
  const mutation = NAMES[draws.integer(NAMES.length)] as string;
  const victim = draws.integer(RIGHT.length);
  const frames = RIGHT.map((message, index) => {
    if (index !== victim) return framed(message);
    const ofBytes = OF_BYTES[mutation];
    if (ofBytes) return framed(ofBytes(message, draws));
    return (OF_FRAMES[mutation] as Mutation)(framed(message), draws);
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

function one(draws: Draws): Buffer {
  return RIGHT[draws.integer(RIGHT.length)] as Buffer;
}
