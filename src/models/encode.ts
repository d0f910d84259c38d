/** Tensors to the bytes that travel. Conversions run in TensorFlow, one read a tensor. */
import {
  fill,
  ops,
  readFloat32,
  readInt32,
  readScalar,
  scope,
  type Tensor,
} from '../tensor/index.js';
import type { EncodedTensor } from '../wire/encodedTensor.js';

/** Of float32 tensors; null where the encoded value holds an infinity or a NaN. */
export function encodeFinite(tensor: Tensor, dtype: 'fp32' | 'fp16'): EncodedTensor | null {
  return scope(() => {
    const converted = dtype === 'fp32' ? tensor : ops.cast(tensor, 'half');
    const axes = converted.shape.map((_, axis) => axis);
    if (readScalar(ops.all(ops.finite(converted), axes)) !== 1) return null;
    const data = dtype === 'fp32' ? ownedBytes(readFloat32(tensor)) : halfBytes(tensor);
    return { dtype, shape: [...tensor.shape], data };
  });
}

/** The addon reads no halves: pairs of them are read as one int32. */
function halfBytes(tensor: Tensor): ArrayBuffer {
  const size = tensor.size;
  const flat = ops.reshape(tensor, [size]);
  const even = size % 2 === 0 ? flat : ops.concat([flat, fill([1], 0)], 0);
  const pairs = ops.reshape(ops.cast(even, 'half'), [even.size / 2, 2]);
  const bytes = ownedBytes(readInt32(ops.bitcast(pairs, 'int32')));
  return size % 2 === 0 ? bytes : bytes.slice(0, 2 * size);
}

/** The array's buffer if that is all its own, else a copy. */
function ownedBytes(array: Float32Array | Int32Array): ArrayBuffer {
  const { buffer, byteLength } = array;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return buffer;
  return array.slice().buffer as ArrayBuffer;
}
