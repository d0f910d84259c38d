/**
 * Decodes teacher replies, one per image, into tensors of a whole batch.
 *
 * N images, h w positions, P = N * h * w, K classes, D teacher channels. The encoded bytes are passed
 * to TensorFlow, which converts them to float32.
 */
import { kernels, ops, scope, type Tensor, uint8 } from '../tensor/index.js';
import { checkTensor, TensorFormatError } from '../wire/checkTensor.js';
import { type EncodedTensor, WIRE_DTYPE_BYTES } from '../contract/encodedTensor.js';
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
  return scope(() => {
    const { dtype, bytes } = stackedBytes(name, parts);
    if (dtype === 'int8') throw new RangeError(`${name}: int8 given, which needs scales`);
    const numbers = ops.bitcast(bytes, ENGINE_DTYPE[dtype]);
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
  return scope(() => {
    const { dtype, bytes } = stackedBytes(name, parts);
    if (dtype !== 'int8') throw new RangeError(`${name}: ${dtype} given, wanted int8`);
    const shape = [parts.length, ...parts[0]!.shape];
    const channels = shape.at(-1)!;
    const scale = decodeStacked(`${name} scale`, scales);
    if (scale.shape.join() !== shape.slice(0, -1).join()) {
      throw new TensorFormatError(
        `${name} scale: shape [${scale.shape}] given, wanted [${shape.slice(0, -1)}]`,
      );
    }
    const q_PD = ops.reshape(bytes, [scale.size, channels]);
    const scale_P = ops.reshape(scale, [scale.size]);
    return ops.reshape(kernels().rowQuantisation.dequantise(q_PD, scale_P), shape);
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

/** uint8 [N, ...shape of one, bytes per element]; without the last axis for one byte per element. */
function stackedBytes(name: string, parts: readonly EncodedTensor[]) {
  const first = parts[0];
  if (first === undefined) throw new RangeError(`${name}: no tensors given`);
  const { dtype, shape } = first;
  for (const part of parts) checkTensor(name, part, dtype, shape);
  const width = dtype === 'int8' ? [] : [WIRE_DTYPE_BYTES[dtype]];
  const bytes = parts.map((part) => uint8(new Uint8Array(part.data), [1, ...shape, ...width]));
  return { dtype, bytes: ops.concat(bytes, 0) };
}
