/**
 * What encoding and decoding take: bytes and milliseconds an image, from the network's tensors to
 * buffers and from buffers to the student's tensors.
 *
 * h w positions, K classes, D channels.
 */
import { decodeReplies } from '../../src/distill/decodeReply.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import { encodeOutputs } from '../../src/models/teacher/encodeOutputs.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, scope, type Tensor } from '../../src/tensor/index.js';
import { inRounds } from '../support/rounds.js';
import { range } from '../support/statistics.js';
import {
  type AnswerSize,
  bytesOf,
  replyOf,
  requestsOf,
  WIRE_CASES,
  type WireCase,
} from './cases.js';

export interface Coding {
  readonly size: AnswerSize;
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

export async function measureCoding(size: AnswerSize, rounds: number): Promise<Coding> {
  const { height, width, classes, channels } = size;
  const rebuild = new LogitsRebuild({
    dtype: 'fp32',
    shape: [classes, channels + 1],
    data: random(classes * (channels + 1)).buffer,
  });
  const logits_hwK = float32(random(height * width * classes), [height, width, classes]);
  const feature_hwD = float32(random(height * width * channels), [height, width, channels]);
  const coded = await inRounds([WIRE_CASES], { rounds, warmUp: 1 }, (wireCase) =>
    codeOnce(wireCase, logits_hwK, feature_hwD, rebuild),
  );
  for (const tensor of [logits_hwK, feature_hwD]) tensor.dispose();
  rebuild.dispose();
  const cases = coded.map((own) => ({
    bytes: own[0]!.bytes,
    encodeMs: own.map((once) => once.encodeMs),
    decodeMs: own.map((once) => once.decodeMs),
  }));
  return { size, rounds, cases };
}

function codeOnce(
  wireCase: WireCase,
  logits_hwK: Tensor,
  feature_hwD: Tensor,
  rebuild: LogitsRebuild,
): { bytes: number; encodeMs: number; decodeMs: number } {
  const begin = performance.now();
  const encoded = scope(() =>
    encodeOutputs({ logits_hwK, feature_hwD, aux_hwK: null }, requestsOf(wireCase)),
  );
  const encodeMs = performance.now() - begin;
  if (encoded instanceof Error) throw encoded;
  const reply = replyOf(encoded);
  const bytes = bytesOf(reply);
  const decodeMs = scope(() => {
    const decodeBegin = performance.now();
    decodeReplies([reply], rebuild);
    return performance.now() - decodeBegin;
  });
  return { bytes, encodeMs, decodeMs };
}

/** Half of them 0, as after a ReLU. */
function random(count: number): Float32Array<ArrayBuffer> {
  const draws = drawsFor(1, 'test', count);
  return Float32Array.from({ length: count }, () => Math.max(0, draws.uniform() * 2 - 1));
}

/** The fastest round: what the others add is the machine's. */
export const best = (milliseconds: readonly number[]) => range(milliseconds)[0];
