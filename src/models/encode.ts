/** Tensors to the bytes that travel. Conversions run in TensorFlow, one read a tensor. */
import { fill, kernels, ops, readFloat32, readInt32, scope, type Tensor } from '../tensor/index.js';
import type { EncodedTensor } from '../contract/encodedTensor.js';
import { isFiniteTensor } from './finiteTensor.js';

/** Of float32 tensors; null where the encoded value holds an infinity or a NaN. */
export function encodeFinite(tensor: Tensor, dtype: 'fp32' | 'fp16'): EncodedTensor | null {
  return scope(() => {
    const converted = dtype === 'fp32' ? tensor : ops.cast(tensor, 'half');
    if (!isFiniteTensor(converted)) return null;
    const data = dtype === 'fp32' ? ownedBytes(readFloat32(tensor)) : halfBytes(tensor);
    return { dtype, shape: [...tensor.shape], data };
  });
}

/** Rows of int8 and their scales. */
export interface EncodedRows {
  /** int8, the shape of what was encoded. */
  readonly rows: EncodedTensor;
  /** fp32, that shape without the last axis. */
  readonly scales: EncodedTensor;
}

/** Of float32 [..., channels], each row by itself; null where it holds an infinity or a NaN. */
export function encodeRows(tensor: Tensor): EncodedRows | null {
  return scope(() => {
    const shape = [...tensor.shape];
    const channels = shape.at(-1)!;
    const x_RD = ops.reshape(tensor, [tensor.size / channels, channels]);
    const { packed_W, scale_R } = kernels().rowQuantisation.quantise(x_RD);
    if (!isFiniteTensor(scale_R)) return null;
    const scales = ownedBytes(readFloat32(scale_R));
    return {
      rows: { dtype: 'int8', shape, data: leading(ownedBytes(readInt32(packed_W)), tensor.size) },
      scales: { dtype: 'fp32', shape: shape.slice(0, -1), data: scales },
    };
  });
}

/** The addon reads no halves: pairs of them are read as one int32. */
function halfBytes(tensor: Tensor): ArrayBuffer {
  const size = tensor.size;
  const flat = ops.reshape(tensor, [size]);
  const even = size % 2 === 0 ? flat : ops.concat([flat, fill([1], 0)], 0);
  const pairs = ops.reshape(ops.cast(even, 'half'), [even.size / 2, 2]);
  return leading(ownedBytes(readInt32(ops.bitcast(pairs, 'int32'))), 2 * size);
}

/** Without what fills the last word; copied only where there is such. */
function leading(bytes: ArrayBuffer, count: number): ArrayBuffer {
  return bytes.byteLength === count ? bytes : bytes.slice(0, count);
}

/** The array's buffer if that is all its own, else a copy. */
function ownedBytes(array: Float32Array | Int32Array): ArrayBuffer {
  const { buffer, byteLength } = array;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return buffer;
  return array.slice().buffer as ArrayBuffer;
}
