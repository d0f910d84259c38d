/**
 * What encoding and decoding take: bytes and milliseconds an image, from the network's tensors to
 * buffers and from buffers to the student's tensors.
 *
 * h w positions, K classes, D channels.
 */
import { decodeReplies } from '../../src/distill/decodeReply.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import { encodeOutputs } from '../../src/models/encodeOutputs.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, scope, type Tensor } from '../../src/tensor/index.js';
import { range } from '../support/statistics.js';
import { bytesOf, replyOf, requestsOf, WIRE_CASES, type WireCase } from './cases.js';

export interface CodingSize {
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly channels: number;
}

export interface Coding {
  readonly size: CodingSize;
  readonly rounds: number;
  /** In the order of WIRE_CASES. */
  readonly cases: readonly CaseCoding[];
}

export interface CaseCoding {
  readonly bytes: number;
  /** Of each round, milliseconds. */
  readonly encodeMs: readonly number[];
  readonly decodeMs: readonly number[];
}

/** The cases take turns, so that a slow moment of the machine hits them all. */
export function measureCoding(size: CodingSize, rounds: number): Coding {
  const { height, width, classes, channels } = size;
  const rebuild = new LogitsRebuild({
    dtype: 'fp32',
    shape: [classes, channels + 1],
    data: random(classes * (channels + 1)).buffer,
  });
  const logits_hwK = float32(random(height * width * classes), [height, width, classes]);
  const feature_hwD = float32(random(height * width * channels), [height, width, channels]);
  const cases = WIRE_CASES.map(() => ({
    bytes: 0,
    encodeMs: [] as number[],
    decodeMs: [] as number[],
  }));
  // The first round warms up.
  for (let round = -1; round < rounds; round++) {
    for (const [index, wireCase] of WIRE_CASES.entries()) {
      const once = codeOnce(wireCase, logits_hwK, feature_hwD, rebuild);
      const own = cases[index]!;
      own.bytes = once.bytes;
      if (round < 0) continue;
      own.encodeMs.push(once.encodeMs);
      own.decodeMs.push(once.decodeMs);
    }
  }
  for (const tensor of [logits_hwK, feature_hwD]) tensor.dispose();
  rebuild.dispose();
  return { size, rounds, cases };
}

function codeOnce(
  wireCase: WireCase,
  logits_hwK: Tensor,
  feature_hwD: Tensor,
  rebuild: LogitsRebuild,
): { bytes: number; encodeMs: number; decodeMs: number } {
  const begin = performance.now();
  const encoded = scope(() => encodeOutputs(logits_hwK, feature_hwD, requestsOf(wireCase)));
  const encodeMs = performance.now() - begin;
  if (encoded instanceof Error) throw encoded;
  const reply = replyOf(encoded);
  const bytes = bytesOf(reply);
  const decodeBegin = performance.now();
  scope(() => decodeReplies([reply], rebuild));
  return { bytes, encodeMs, decodeMs: performance.now() - decodeBegin };
}

/** Half of them 0, as after a ReLU. */
function random(count: number): Float32Array<ArrayBuffer> {
  const draws = drawsFor(1, 'test', count);
  return Float32Array.from({ length: count }, () => Math.max(0, draws.uniform() * 2 - 1));
}

/** The fastest round: what the others add is the machine's. */
export const best = (milliseconds: readonly number[]) => range(milliseconds)[0];
