/** Matrix products. */
import { attribute, execute } from '../execute.js';
import type { Tensor } from '../tensor.js';

export interface MatMulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** [M, K] x [K, N] -> [M, N]; each input may be given transposed. */
export function matMul(a: Tensor, b: Tensor, options: MatMulOptions = {}): Tensor {
  return execute(
    'MatMul',
    [a, b],
    [
      attribute.type('T', a.dtype),
      attribute.bool('transpose_a', options.transposeA ?? false),
      attribute.bool('transpose_b', options.transposeB ?? false),
    ],
  );
}

/** Matrix products over leading batch axes, which broadcast. */
export function batchMatMul(a: Tensor, b: Tensor, options: MatMulOptions = {}): Tensor {
  return execute(
    'BatchMatMulV2',
    [a, b],
    [
      attribute.type('T', a.dtype),
      attribute.bool('adj_x', options.transposeA ?? false),
      attribute.bool('adj_y', options.transposeB ?? false),
    ],
  );
}
