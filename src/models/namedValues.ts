/** Reads numbers from the bytes of a file's tensors. */
import { widenBfloat16 } from '../wire/bfloat16.js';
import { CheckpointError } from '../wire/checkpointError.js';
import { decodeHalf } from '../wire/half.js';
import { isStoredType } from '../tensor/index.js';
import { alignedBytes, type NamedTensor, type TensorForm } from '../wire/safetensors.js';

/** Throws CheckpointError naming the tensor unless its dtype is one of those that namedFloats converts. */
export function checkFloats(name: string, { dtype }: TensorForm): void {
  if (isStoredType(dtype)) return;
  throw new CheckpointError(`${name}: dtype ${dtype} given, wanted floats`);
}

/**
 * Copies a tensor of floats to float32; F64 is rounded to nearest. Throws CheckpointError naming the tensor
 * on any other dtype.
 */
export function namedFloats(name: string, tensor: NamedTensor): Float32Array {
  switch (tensor.dtype) {
    case 'F32':
      return new Float32Array(alignedBytes(tensor));
    case 'F16':
      return decodeHalf(new Uint16Array(alignedBytes(tensor)));
    case 'BF16':
      return widenBfloat16(new Uint16Array(alignedBytes(tensor)));
    case 'F64':
      return Float32Array.from(new Float64Array(alignedBytes(tensor)));
    default:
      checkFloats(name, tensor);
      throw new Error(`${name}: dtype ${tensor.dtype} has no conversion`);
  }
}

/** Reads an I64 scalar. Throws CheckpointError naming the tensor on anything else. */
export function namedCount(name: string, tensor: NamedTensor): number {
  if (tensor.dtype !== 'I64' || tensor.data.byteLength !== 8) {
    throw new CheckpointError(`${name}: dtype ${tensor.dtype} given, wanted an I64 scalar`);
  }
  const [count] = new BigInt64Array(alignedBytes(tensor));
  if (count! < 0n || count! > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new CheckpointError(`${name}: ${count} given, wanted a count from 0 to 2^53 - 1`);
  }
  return Number(count);
}
