/** Copies host arrays to tensors and back. */
import { binding } from './binding.js';
import { DTYPE_NUMBER } from './dtype.js';
import { execute } from './execute.js';
import { cast } from './ops/elementwise.js';
import { Tensor } from './tensor.js';

/**
 * The addon may share the array's memory with TensorFlow instead of copying it: after this call, or
 * int32 or uint8, the array must be neither changed nor transferred to another thread.
 */
export function float32(data: Float32Array, shape: readonly number[]): Tensor {
  return create(data, shape, 'float32');
}

export function int32(data: Int32Array | readonly number[], shape: readonly number[]): Tensor {
  return create(data instanceof Int32Array ? data : Int32Array.from(data), shape, 'int32');
}

export function uint8(data: Uint8Array, shape: readonly number[]): Tensor {
  return create(data, shape, 'uint8');
}

/** A float32 scalar. */
export function scalar(value: number): Tensor {
  return float32(Float32Array.of(value), []);
}

/** An int32 vector, for shapes, axes and block sizes. */
export function vector(values: readonly number[]): Tensor {
  return int32(values, [values.length]);
}

/** A float32 tensor whose elements are all `value`; needs no array on the host. */
export function fill(shape: readonly number[], value: number): Tensor {
  const dims = vector(shape);
  const element = scalar(value);
  const result = execute('Fill', [dims, element], []);
  dims.dispose();
  element.dispose();
  return result;
}

export function zeros(shape: readonly number[]): Tensor {
  return fill(shape, 0);
}

/** Copies a tensor to the host as float32, C order; other dtypes are cast. */
export function readFloat32(tensor: Tensor): Float32Array {
  if (tensor.dtype === 'float32') return binding().tensorDataSync(tensor.id) as Float32Array;
  const converted = cast(tensor, 'float32');
  const data = binding().tensorDataSync(converted.id) as Float32Array;
  converted.dispose();
  return data;
}

/** Copies a tensor to the host as int32, C order; other dtypes are cast. */
export function readInt32(tensor: Tensor): Int32Array {
  if (tensor.dtype === 'int32') return binding().tensorDataSync(tensor.id) as Int32Array;
  const converted = cast(tensor, 'int32');
  const data = binding().tensorDataSync(converted.id) as Int32Array;
  converted.dispose();
  return data;
}

/** The value of a tensor with one element. */
export function readScalar(tensor: Tensor): number {
  if (tensor.size !== 1) throw new Error(`tensor: shape [${tensor.shape}] given, wanted a scalar`);
  return readFloat32(tensor)[0]!;
}

function create(
  data: Float32Array | Int32Array | Uint8Array,
  shape: readonly number[],
  dtype: 'float32' | 'int32' | 'uint8',
): Tensor {
  const wanted = shape.reduce((product, length) => product * length, 1);
  if (data.length !== wanted) {
    throw new Error(`data: ${data.length} elements given, shape [${shape}] wants ${wanted}`);
  }
  const id = binding().createTensor([...shape], DTYPE_NUMBER[dtype], data);
  return new Tensor(id, [...shape], dtype);
}
