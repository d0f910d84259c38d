/** Converts stored bytes to numbers. */
import { widenBfloat16 } from '../wire/bfloat16.js';
import { decodeHalf } from '../wire/half.js';
import { alignedBytes, type NamedTensor } from '../wire/safetensors.js';
import type { HostTensor } from './operation.js';

/** Copies a stored tensor into a typed array. BF16 and F16 widen to float32, which is exact. */
export function hostTensor(tensor: NamedTensor): HostTensor {
  return { data: typedArray(tensor), shape: tensor.shape };
}

function typedArray(tensor: NamedTensor): HostTensor['data'] {
  const buffer = alignedBytes(tensor);
  switch (tensor.dtype) {
    case 'F64':
      return new Float64Array(buffer);
    case 'F32':
      return new Float32Array(buffer);
    case 'F16':
      return decodeHalf(new Uint16Array(buffer));
    case 'BF16':
      return widenBfloat16(new Uint16Array(buffer));
    case 'I64':
      return new BigInt64Array(buffer);
    case 'I32':
      return new Int32Array(buffer);
    case 'I16':
      return new Int16Array(buffer);
    case 'I8':
      return new Int8Array(buffer);
    case 'U8':
    case 'BOOL':
      return new Uint8Array(buffer);
  }
}
