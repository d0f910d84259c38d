/** Tensors as test/interop/torchPeer.py describes them. */
import { createHash } from 'node:crypto';
import type { NamedTensors, SafetensorsDtype } from '../../../src/wire/safetensors.js';

const TORCH_DTYPES: Readonly<Record<SafetensorsDtype, string>> = {
  F64: 'torch.float64',
  F32: 'torch.float32',
  F16: 'torch.float16',
  BF16: 'torch.bfloat16',
  I64: 'torch.int64',
  I32: 'torch.int32',
  I16: 'torch.int16',
  I8: 'torch.int8',
  U8: 'torch.uint8',
  BOOL: 'torch.bool',
};

export type Described = Record<string, [dtype: string, shape: number[], sha256: string]>;

export function described(tensors: NamedTensors): Described {
  return Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, data }]) => {
      const sha256 = createHash('sha256').update(data).digest('hex');
      return [name, [TORCH_DTYPES[dtype], [...shape], sha256]];
    }),
  );
}
