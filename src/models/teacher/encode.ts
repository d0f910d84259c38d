/** Encodes tensors as wire bytes. Conversions run in TensorFlow, with one read per tensor. */
import {
  fill,
  kernels,
  ops,
  readFloat32,
  readInt32,
  scope,
  type Tensor,
} from '../../tensor/index.js';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import { isFiniteTensor } from './finiteTensor.js';

/** Encodes a float32 tensor; null if an encoded value is infinite or NaN. */
export function encodeFinite(tensor: Tensor, dtype: 'fp32' | 'fp16'): EncodedTensor | null {
  return scope(() => {
    const converted = dtype === 'fp32' ? tensor : ops.cast(tensor, 'half');
    if (!isFiniteTensor(converted)) return null;
    const data = dtype === 'fp32' ? ownedBytes(readFloat32(tensor)) : halfBytes(tensor);
    return { dtype, shape: [...tensor.shape], data };
  });
}

/** int8 rows and their scales. */
export interface EncodedRows {
  /** int8, in the shape of the encoded tensor. */
  readonly rows: EncodedTensor;
  /** fp32, in that shape without the last axis. */
  readonly scales: EncodedTensor;
}

/** Encodes float32 [..., channels], one scale per row; null if a value is infinite or NaN. */
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

/** The addon can't read halves, so each pair is read as one int32. */
function halfBytes(tensor: Tensor): ArrayBuffer {
  const size = tensor.size;
  const flat = ops.reshape(tensor, [size]);
  const even = size % 2 === 0 ? flat : ops.concat([flat, fill([1], 0)], 0);
  const pairs = ops.reshape(ops.cast(even, 'half'), [even.size / 2, 2]);
  return leading(ownedBytes(readInt32(ops.bitcast(pairs, 'int32'))), 2 * size);
}

/** Cuts off the padding of the last word; copies only if there is any. */
function leading(bytes: ArrayBuffer, count: number): ArrayBuffer {
  return bytes.byteLength === count ? bytes : bytes.slice(0, count);
}

/** The array's buffer if the array covers all of it, else a copy. */
function ownedBytes(array: Float32Array | Int32Array): ArrayBuffer {
  const { buffer, byteLength } = array;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return buffer;
  return array.slice().buffer as ArrayBuffer;
}
