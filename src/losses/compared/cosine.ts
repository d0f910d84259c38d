/**
 * Cosine similarity of rows: u.v / (max(|u|, 1e-8) max(|v|, 1e-8)), like PyTorch's.
 *
 * R rows, C channels.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';

/** Lower bound of both norms; below it the gradient treats the norm as a constant. */
const SMALLEST_NORM = 1e-8;

export interface CosineRows {
  /** float32 [R, 1] */
  readonly cosine_R1: Tensor;
  /** Both sides divided by their norms, float32 [R, C], and the bounded norms, [R, 1]. */
  readonly u: ScaledRows;
  readonly v: ScaledRows;
}

interface ScaledRows {
  readonly scaled_RC: Tensor;
  readonly norm_R1: Tensor;
  /** 1, or 0 for norms below the bound. */
  readonly follows_R1: Tensor;
}

export function cosine(u_RC: Tensor, v_RC: Tensor): CosineRows {
  return scope(() => {
    const [u, v] = [scaled(u_RC), scaled(v_RC)];
    return { cosine_R1: ops.sum(ops.mul(u.scaled_RC, v.scaled_RC), [1], true), u, v };
  });
}

/** Gradients with respect to both sides, float32 [R, C]. */
export function cosineGrad(dy_R1: Tensor, { cosine_R1, u, v }: CosineRows) {
  const side = (own: ScaledRows, other: ScaledRows) =>
    scope(() => {
      const along_R1 = ops.mul(cosine_R1, own.follows_R1);
      const across_RC = ops.sub(other.scaled_RC, ops.mul(own.scaled_RC, along_R1));
      return ops.mul(across_RC, ops.div(dy_R1, own.norm_R1));
    });
  return { u_RC: side(u, v), v_RC: side(v, u) };
}

function scaled(x_RC: Tensor): ScaledRows {
  return scope(() => {
    const length_R1 = ops.sqrt(ops.sum(ops.square(x_RC), [1], true));
    const norm_R1 = ops.maximum(length_R1, scalar(SMALLEST_NORM));
    const follows_R1 = ops.cast(ops.greater(length_R1, scalar(SMALLEST_NORM)), 'float32');
    return { scaled_RC: ops.div(x_RC, norm_R1), norm_R1, follows_R1 };
  });
}
