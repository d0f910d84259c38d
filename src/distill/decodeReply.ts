/**
 * Decodes teacher replies, one per image, into tensors of a whole batch.
 *
 * N images, h w positions, P = N * h * w, K classes, D teacher channels. The encoded bytes are passed
 * to TensorFlow, which converts them to float32.
 */
import { float32, kernels, ops, scope, type Tensor, uint8 } from '../tensor/index.js';
import { checkTensor, TensorFormatError } from '../wire/checkTensor.js';
import { type EncodedTensor, WIRE_DTYPE_BYTES, type WireDType } from '../contract/encodedTensor.js';
import type { TeacherOutputs } from './networkOutputs.js';
import type { LogitsRebuild } from './rebuildLogits.js';
import type { TeacherReply } from '../contract/teacher.js';

const ENGINE_DTYPE = { fp32: 'float32', fp16: 'half' } as const;

/**
 * float32 [N, ...shape of one] from N tensors of the same dtype and shape; int8 isn't accepted.
 * TensorFlow may keep using their memory, so it must neither be changed nor transferred afterwards.
 * Throws TensorFormatError on a tensor that differs from the first or whose bytes don't fit its shape.
 */
export function decodeStacked(name: string, parts: readonly EncodedTensor[]): Tensor {
  const [dtype, shape] = checkedParts(name, parts);
  if (dtype === 'int8') throw new RangeError(`${name}: int8 given, which needs scales`);
  return scope(() => {
    const byteShape = [1, ...shape, WIRE_DTYPE_BYTES[dtype]];
    const bytes = parts.map(({ data }) => uint8(new Uint8Array(data), byteShape));
    const numbers = ops.bitcast(ops.concat(bytes, 0), ENGINE_DTYPE[dtype]);
    return dtype === 'fp32' ? numbers : ops.cast(numbers, 'float32');
  });
}

/**
 * float32 [N, ...shape of one] from rows of int8 along the last axis and their scales. A row with a
 * scale that no unit row can have (NaN, infinite, negative, above 1) becomes NaN. Throws like
 * decodeStacked.
 */
export function decodeScaledRows(
  name: string,
  parts: readonly EncodedTensor[],
  scales: readonly EncodedTensor[],
): Tensor {
  const [dtype, shape] = checkedParts(name, parts);
  if (dtype !== 'int8') throw new RangeError(`${name}: ${dtype} given, wanted int8`);
  const channels = shape.at(-1)!;
  const rows = shape.slice(0, -1).reduce((product, length) => product * length, 1);
  checkScales(name, scales, parts.length, shape.slice(0, -1));
  return scope(() => {
    const q_RD = parts.map(({ data }) => uint8(new Uint8Array(data), [rows, channels]));
    const scale_R = scales.map(({ data }) => float32(new Float32Array(data), [rows]));
    const x_PD = kernels().rowQuantisation.dequantise(q_RD, scale_R);
    return ops.reshape(x_PD, [parts.length, ...shape]);
  });
}

/**
 * Decodes a batch's replies, in order: whatever they hold. If they hold no logits, `rebuild` computes
 * them unless it is null. Throws TypeError if an int8 embedding has no scales, if only some of the
 * replies have an output, or if what `rebuild` needs is missing.
 */
export function decodeReplies(
  replies: readonly TeacherReply[],
  rebuild: LogitsRebuild | null,
): TeacherOutputs {
  const decoded = (output: keyof TeacherReply, decode = decodeStacked) => {
    const parts = replies.map((reply) => reply[output]);
    return parts.every((part) => part === null) ? null : decode(output, present(output, parts));
  };
  const scales = () =>
    present(
      'embeddingScale',
      replies.map(({ embeddingScale }) => embeddingScale),
    );
  const embedding = decoded('embedding', (name, parts) =>
    parts[0]?.dtype === 'int8'
      ? decodeScaledRows(name, parts, scales())
      : decodeStacked(name, parts),
  );
  const featureNorm = decoded('featureNorm');
  const sent = decoded('logits');
  const logits =
    sent === null && rebuild !== null ? rebuilt(rebuild, embedding, featureNorm) : sent;
  return { logits, embedding, featureNorm, auxNorm: decoded('auxNorm') };
}

function rebuilt(
  rebuild: LogitsRebuild,
  embedding: Tensor | null,
  featureNorm: Tensor | null,
): Tensor {
  if (embedding !== null && featureNorm !== null) return rebuild.logits(embedding, featureNorm);
  throw new TypeError('logits: missing, and embedding or featureNorm to rebuild them, too');
}

function present(name: string, parts: readonly (EncodedTensor | null)[]): EncodedTensor[] {
  return parts.map((part) => {
    if (part === null) throw new TypeError(`${name}: missing in a reply`);
    return part;
  });
}

/** The dtype and the shape that all of them have. */
function checkedParts(
  name: string,
  parts: readonly EncodedTensor[],
): [WireDType, readonly number[]] {
  const [first] = parts;
  if (first === undefined) throw new RangeError(`${name}: no tensors given`);
  const { dtype, shape } = first;
  for (const part of parts) checkTensor(name, part, dtype, shape);
  return [dtype, shape];
}

/** There must be `count` of them in fp32, each of `shape`. */
function checkScales(
  name: string,
  scales: readonly EncodedTensor[],
  count: number,
  shape: readonly number[],
): void {
  if (scales.length !== count) {
    throw new TensorFormatError(`${name} scale: ${scales.length} given, wanted ${count}`);
  }
  for (const scale of scales) checkTensor(`${name} scale`, scale, 'fp32', shape);
}
