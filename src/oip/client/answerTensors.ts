/**
 * Makes a teacher's reply of a model's output tensors: float32, positions before channels, the feature
 * as unit rows with their norms.
 *
 * h w positions, K classes, D feature channels.
 */
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import type { NeededOutput } from '../../contract/outputs.js';
import type { TeacherReply } from '../../contract/teacher.js';
import { widenBfloat16 } from '../../wire/bfloat16.js';
import { firstNonFinite } from '../../wire/checkTensor.js';
import { decodeHalf } from '../../wire/half.js';
import type { ModelOutput, OutputDatatype } from './modelOutputs.js';

/** ||v|| below this counts as this, as in PyTorch's normalize. */
const SMALLEST_NORM = 1e-12;

/** Channels that are moved together when axes change places: a line of the cache. */
const TILE = 16;

/** An output as it came: bytes that nothing else owns, at offset 0. */
export interface RawOutput {
  readonly output: ModelOutput;
  readonly height: number;
  readonly width: number;
  /** Little-endian, row-major, in the output's data type and layout; the length is checked. */
  readonly data: ArrayBuffer;
}

/** A value of the answer isn't finite; the message names the output and the place. */
export class NonFiniteAnswerError extends Error {
  override readonly name = 'NonFiniteAnswerError';
}

/** Takes the buffers over; what isn't needed is left out. Throws NonFiniteAnswerError. */
export function replyOf(
  outputs: readonly RawOutput[],
  needed: readonly NeededOutput[],
): TeacherReply {
  const reply: { -readonly [Name in keyof TeacherReply]: TeacherReply[Name] } = {
    logits: null,
    embedding: null,
    embeddingScale: null,
    featureNorm: null,
    auxNorm: null,
  };
  for (const raw of outputs) {
    const tensor = tensorOf(raw);
    switch (raw.output.role) {
      case 'logits':
        reply.logits = tensor;
        break;
      case 'embedding':
        reply.embedding = tensor;
        break;
      case 'feature_norm':
        reply.featureNorm = tensor;
        break;
      case 'feature':
        reply.featureNorm = unitRows(tensor, raw.output.name);
        reply.embedding = tensor;
        if (!needed.includes('feature_norm')) reply.featureNorm = null;
        if (!needed.includes('embedding')) reply.embedding = null;
        break;
    }
  }
  return reply;
}

/** fp32 [h, w, channels], or [h, w] without channels. */
function tensorOf({ output, height, width, data }: RawOutput): EncodedTensor {
  const { channels, layout, datatype, name } = output;
  const values = floatsOf(datatype, data);
  const shape = [height, width, ...(channels === null ? [] : [channels])];
  const isPlanes = channels !== null && layout === 'nchw';
  const ordered = isPlanes ? positionsFirst(values, channels, height * width) : values;
  const tensor = { dtype: 'fp32', shape, data: ordered.buffer } as const;
  const broken = firstNonFinite(tensor);
  if (broken >= 0) {
    throw new NonFiniteAnswerError(
      `non-finite ${name}: ${ordered[broken]} at ${broken} of [${shape}]`,
    );
  }
  return tensor;
}

function floatsOf(datatype: OutputDatatype, data: ArrayBuffer): Float32Array<ArrayBuffer> {
  switch (datatype) {
    case 'FP32':
      return new Float32Array(data);
    case 'FP16':
      return decodeHalf(new Uint16Array(data));
    case 'BF16':
      return widenBfloat16(new Uint16Array(data));
  }
}

/** [channels, positions] to [positions, channels], a tile at a time so that both stay in the cache. */
function positionsFirst(
  planes: Float32Array,
  channels: number,
  positions: number,
): Float32Array<ArrayBuffer> {
  const rows = new Float32Array(planes.length);
  for (let c0 = 0; c0 < channels; c0 += TILE) {
    const c1 = Math.min(channels, c0 + TILE);
    for (let p = 0; p < positions; p++) {
      const row = p * channels;
      for (let c = c0; c < c1; c++) rows[row + c] = planes[c * positions + p]!;
    }
  }
  return rows;
}

/** Makes the feature's rows [h, w, D] unit ones in place; returns their norms, fp32 [h, w]. */
function unitRows({ shape, data }: EncodedTensor, name: string): EncodedTensor {
  const [height, width, channels] = shape as [number, number, number];
  const rows = new Float32Array(data);
  const norms = new Float32Array(height * width);
  for (let p = 0; p < norms.length; p++) {
    const begin = p * channels;
    const end = begin + channels;
    let sum = 0;
    for (let i = begin; i < end; i++) sum += rows[i]! * rows[i]!;
    norms[p] = Math.sqrt(sum);
    const divisor = Math.max(norms[p]!, SMALLEST_NORM);
    for (let i = begin; i < end; i++) rows[i] = rows[i]! / divisor;
  }
  const tensor = { dtype: 'fp32', shape: [height, width], data: norms.buffer } as const;
  const broken = firstNonFinite(tensor);
  if (broken < 0) return tensor;
  throw new NonFiniteAnswerError(
    `non-finite norm of ${name}: ${norms[broken]} at ${broken} of [${tensor.shape}]`,
  );
}
