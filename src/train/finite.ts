/** Looks for NaN and infinity in TensorFlow's memory, without copying the values to the host. */
import { kernels, type Parameter, readFloat32, scope, type Tensor } from '../tensor/index.js';

/**
 * The name of the first parameter whose gradient (or new value) isn't finite, or null. One number
 * per tensor is copied to the host, made of the sum of squares, which is finite unless an element isn't
 * (or the squares overflow, which no update survives either).
 */
export function firstNonFinite(tensors: ReadonlyMap<Parameter, Tensor>): string | null {
  if (tensors.size === 0) return null;
  const names = [...tensors.keys()].map((parameter) => parameter.name);
  const sums = scope(() => readFloat32(kernels().finiteness([...tensors.values()])));
  const index = sums.findIndex((value) => !Number.isFinite(value));
  return index < 0 ? null : names[index]!;
}
