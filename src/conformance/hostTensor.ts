/** Stored bytes to numbers. */
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

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}
