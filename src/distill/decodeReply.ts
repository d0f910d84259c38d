/**
 * Teacher replies, one an image, as tensors of a whole batch.
 *
 * N images, h w positions, K classes, D teacher channels. Bytes go to TensorFlow as they are and
 * become float32 there.
 */
import { ops, scope, type Tensor, uint8 } from '../tensor/index.js';
import { checkTensor } from '../wire/checkTensor.js';
import { type EncodedTensor, WIRE_DTYPE_BYTES } from '../wire/encodedTensor.js';
import type { TeacherOutputs } from './objective.js';
import type { TeacherReply } from './teacher.js';

const ENGINE_DTYPE = { fp32: 'float32', fp16: 'half' } as const;

/**
 * float32 [N, ...shape of one] from N tensors of one dtype and shape. TensorFlow may go on using
 * their memory, so it must neither be changed nor transferred afterwards. Throws TensorFormatError
 * on a tensor that differs from the first or whose bytes don't fit its shape.
 */
export function decodeStacked(name: string, parts: readonly EncodedTensor[]): Tensor {
  const first = parts[0];
  if (first === undefined) throw new RangeError(`${name}: no tensors given`);
  const { dtype, shape } = first;
  for (const part of parts) checkTensor(name, part, dtype, shape);
  if (dtype === 'int8') throw new RangeError(`${name}: int8 needs scales, which aren't known here`);
  return scope(() => {
    const width = WIRE_DTYPE_BYTES[dtype];
    const bytes = parts.map((part) => uint8(new Uint8Array(part.data), [1, ...shape, width]));
    const stacked = ops.concat(bytes, 0);
    const numbers = ops.bitcast(stacked, ENGINE_DTYPE[dtype]);
    return dtype === 'fp32' ? numbers : ops.cast(numbers, 'float32');
  });
}

/** A batch's replies, in order. */
export function decodeReplies(replies: readonly TeacherReply[]): TeacherOutputs {
  const stack = (output: keyof TeacherReply) =>
    decodeStacked(
      output,
      replies.map((reply) => reply[output]),
    );
  return {
    logits: stack('logits'),
    embedding: stack('embedding'),
    featureNorm: stack('featureNorm'),
  };
}
