/**
 * A memory bank's sample as a tensor.
 *
 * M rows, D values per row.
 */
import type { SampledRows } from '../memory/memoryBank.js';
import { float32, ops, scope, type Tensor, uint8 } from '../tensor/index.js';

/** A sample of a bank as float32 [M, D]; TensorFlow converts float16. */
export function rowsTensor({ data, count }: SampledRows, channels: number): Tensor {
  if (data instanceof Float32Array) return float32(data, [count, channels]);
  return scope(() => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const halves_MD2 = uint8(bytes, [count, channels, 2]);
    return ops.cast(ops.bitcast(halves_MD2, 'half'), 'float32');
  });
}
