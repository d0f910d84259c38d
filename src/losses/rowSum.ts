/** Sums row losses without losing precision over millions of rows. */
import { ops, readFloat32, scope, type Tensor } from '../tensor/index.js';

/** Sum of all elements in double precision, on the host. */
export function sumInDouble(loss_N: Tensor): number {
  let total = 0;
  for (const value of readFloat32(loss_N)) total += value;
  return total;
}

/** Sum of the squares of [N, M]: each row's in float32, their sum in double precision. */
export function sumOfSquares(x_NM: Tensor): number {
  return scope(() => sumInDouble(ops.sum(ops.square(x_NM), [1])));
}
