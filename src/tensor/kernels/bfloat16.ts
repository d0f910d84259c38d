/** Products of bfloat16 values with sums in float32, for a frozen network's forward pass (../native/bfloat16). */
import { device } from '../binding.js';
import { readInt32 } from '../create.js';
import { execute } from '../execute.js';
import { cast } from '../ops/elementwise.js';
import { scope, type Tensor } from '../tensor.js';

/** kFewestInputs in ../native/bfloat16/convolution.cc: convolutions with fewer input channels stay in float32. */
export const FEWEST_INPUTS = 16;

/** The nearest bfloat16 values, as float32. */
export function roundedToBfloat16(x: Tensor): Tensor {
  return scope(() => cast(cast(x, 'bfloat16'), 'float32'));
}

/**
 * What computes such products: the processor's instruction for them, float32 instructions with operands rounded the same
 * way (the same bits, no faster than float32), or TensorFlow's ops on rounded operands.
 */
export type Bfloat16Products = 'avx512_bf16' | 'emulated' | 'tensorflow';

export function bfloat16Products(): Bfloat16Products {
  if (device() !== 'cpu') return 'tensorflow';
  const has = scope(() => readInt32(execute('CirkdBfloat16Products', [], []))[0]);
  return has === 1 ? 'avx512_bf16' : 'emulated';
}
