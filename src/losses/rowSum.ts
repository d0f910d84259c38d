/** Sums row losses without losing precision over millions of rows. */
import { readFloat32, type Tensor } from '../tensor/index.js';

/** Sum of all elements in double precision, on the host. */
export function sumInDouble(loss_N: Tensor): number {
  let total = 0;
  for (const value of readFloat32(loss_N)) total += value;
  return total;
}
