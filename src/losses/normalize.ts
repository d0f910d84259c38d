/**
 * Unit rows: unit(v) = v / max(||v||, 1e-12), like PyTorch's F.normalize.
 *
 * P rows, C channels.
 */
import { ops, scalar, scope, type Tensor } from '../tensor/index.js';

/** Lower bound of the divisor; for shorter rows the gradient treats the divisor as a constant. */
const SMALLEST_NORM = 1e-12;

export interface UnitRows {
  /** float32 [P, C]; a zero row stays zero. */
  readonly embedding_PC: Tensor;
  /** float32 [P, 1]: the Euclidean norms, without the lower bound. */
  readonly norm_P1: Tensor;
}

export function unitRows(feature_PC: Tensor): UnitRows {
  return scope(() => {
    const norm_P1 = scope(() => ops.sqrt(ops.sum(ops.square(feature_PC), [1], true)));
    return { embedding_PC: ops.div(feature_PC, divisor(norm_P1)), norm_P1 };
  });
}

/**
 * Gradient with respect to the raw rows, given the gradient with respect to the unit rows:
 * (dy - (dy . e) e) / ||v||, and dy / 1e-12 for norms below the bound.
 */
export function unitRowsGrad(dy_PC: Tensor, { embedding_PC, norm_P1 }: UnitRows): Tensor {
  return scope(() => {
    // Each has its own scope: maps of this size dominate a step's memory.
    const along_P1 = scope(() => {
      const aboveFloor_P1 = ops.cast(ops.greater(norm_P1, scalar(SMALLEST_NORM)), 'float32');
      return ops.mul(ops.sum(ops.mul(dy_PC, embedding_PC), [1], true), aboveFloor_P1);
    });
    const across_PC = scope(() => ops.sub(dy_PC, ops.mul(embedding_PC, along_P1)));
    return ops.div(across_PC, divisor(norm_P1));
  });
}

const divisor = (norm_P1: Tensor) => ops.maximum(norm_P1, scalar(SMALLEST_NORM));
