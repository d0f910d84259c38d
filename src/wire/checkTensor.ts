/** Checks of encoded tensors: length against shape and dtype, shape against what was agreed. */
import { type EncodedTensor, WIRE_DTYPE_BYTES, type WireDType } from '../contract/encodedTensor.js';

/** A tensor differs from what was agreed; the message names it, what came and what was wanted. */
export class TensorFormatError extends Error {
  override readonly name = 'TensorFormatError';
}

/** Bytes of a tensor. Throws TensorFormatError on a size that isn't a whole number >= 0. */
export function tensorBytes(dtype: WireDType, shape: readonly number[]): number {
  let bytes = WIRE_DTYPE_BYTES[dtype];
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new TensorFormatError(`shape: [${shape}] given, wanted whole numbers >= 0`);
    }
    bytes *= size;
  }
  if (!Number.isSafeInteger(bytes)) {
    throw new TensorFormatError(`shape: [${shape}] given, too large for any tensor`);
  }
  return bytes;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Spatial size of a network's output: [ceil(height / stride), ceil(width / stride)]. */
export function outputSize(height: number, width: number, stride: number): [number, number] {
  return [Math.ceil(height / stride), Math.ceil(width / stride)];
}

/**
 * Throws TensorFormatError unless the tensor has the given dtype and shape and exactly the number of bytes
 * that follows from them.
 */
export function checkTensor(
  name: string,
  tensor: EncodedTensor,
  dtype: WireDType,
  shape: readonly number[],
): void {
  if (tensor.dtype !== dtype) {
    throw new TensorFormatError(`${name}: dtype ${tensor.dtype} given, wanted ${dtype}`);
  }
  if (!sameShape(tensor.shape, shape)) {
    throw new TensorFormatError(`${name}: shape [${tensor.shape}] given, wanted [${shape}]`);
  }
  const wanted = tensorBytes(dtype, shape);
  if (tensor.data.byteLength !== wanted) {
    throw new TensorFormatError(
      `${name}: ${tensor.data.byteLength} bytes given, ${dtype} [${shape}] wants ${wanted}`,
    );
  }
}

/** Index of the first element that is infinite or NaN, or -1. int8 tensors are always finite. */
export function firstNonFinite(tensor: EncodedTensor): number {
  switch (tensor.dtype) {
    case 'fp32':
      return firstWithExponent(new Uint32Array(tensor.data), 0x7f800000);
    case 'fp16':
      return firstWithExponent(new Uint16Array(tensor.data), 0x7c00);
    case 'int8':
      return -1;
  }
}

/** Infinities and NaNs are exactly the values with all exponent bits set. */
function firstWithExponent(bits: Uint32Array | Uint16Array, exponent: number): number {
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & exponent) === exponent) {
      return i;
    }
  }
  return -1;
}
